"""A device for programs that ask their device for an OTP: it asks pimsd instead, so that all of them share one enrollment.

OTP_KEY and OTP_PIN are read at each call and are not part of the object, which can be pickled.
"""
import http.client, json, os, urllib.error, urllib.request, uuid


class OtpError(Exception):
    """A call failed for reason. advice says what helps: retry, ask_pin, enroll, operator, fix_request or give_up."""
    def __init__(self, reason, advice):
        super().__init__(reason, advice)
        self.reason, self.advice = reason, advice

    def __str__(self):
        return f"pimsd: {self.reason}, advice: {self.advice}"


class Otp:
    """The device of an account. account is left out when the key is bound to one."""
    def __init__(self, url, account=""):
        self.url, self.account = url, account

    def get_otp_code(self):
        """Returns a new OTP, or raises OtpError. A call whose answer is lost is repeated without costing another OTP."""
        headers = {"Authorization": "Bearer " + os.environ["OTP_KEY"], "Content-Type": "application/json",
                   "Idempotency-Key": str(uuid.uuid4()), "X-Pims-Account": self.account or ""}
        body = json.dumps({"action": "withPIN", "pinCode": os.environ["OTP_PIN"]}).encode()
        request = urllib.request.Request(self.url + "/v1/authentication/otp", body, headers)
        for last in (False, True):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)["result"]["otp"]
            except urllib.error.HTTPError as refused:
                told = refused.headers
                raise OtpError(told.get("X-Pims-Reason", "unknown"), told.get("X-Pims-Advice", "operator")) from None
            except (OSError, http.client.HTTPException) as lost:
                if last:
                    raise OtpError("unreachable", "retry") from lost
