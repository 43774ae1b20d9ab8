// Command goclient calls a pimsd with a generated client. Each line of standard input is an outcome: operation, status, credential, and
// code (0 for none). It prints those that it does not get.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"reflect"

	pimsd "github.com/pimsd/pimsd/contract/testdata/generated"
)

func main() {
	log.SetFlags(0)
	client, err := pimsd.NewClientWithResponses(os.Getenv("URL"))
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var operation, credential string
		var status, code int
		if _, err := fmt.Sscan(lines.Text(), &operation, &status, &credential, &code); err != nil {
			log.Fatal(err)
		}
		as := func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+credential)
			return nil
		}
		answer, err := call(client, operation, as)
		if err != nil {
			log.Fatalf("%s: %v", lines.Text(), err)
		}
		got := reflect.ValueOf(answer).Elem()
		response := got.FieldByName("HTTPResponse").Interface().(*http.Response)
		gotCode := 0
		typed := got.FieldByName(fmt.Sprint("JSON", status))
		if typed.IsValid() && !typed.IsNil() {
			if failed, ok := typed.Interface().(*pimsd.Failed); ok {
				gotCode = int(failed.Error.Code)
			}
		}
		hasBody := response.Request.Method != http.MethodHead && operation != "getContract"
		if response.StatusCode != status || gotCode != code || hasBody && (!typed.IsValid() || typed.IsNil()) || response.Header.Get("sl-violations") != "" {
			fmt.Println(lines.Text(), "got", response.StatusCode, gotCode, response.Header.Get("sl-violations"))
		}
	}
}

// call makes the call of an operation for the account alice.
func call(c *pimsd.ClientWithResponses, operation string, as pimsd.RequestEditorFn) (any, error) {
	ctx, alice, ten, yes := context.Background(), "alice", 10, true
	switch operation {
	case "getOtpWithPin":
		return c.GetOtpWithPinWithResponse(ctx, &pimsd.GetOtpWithPinParams{XPimsAccount: &alice}, pimsd.OtpRequest{Action: "withPIN", PinCode: "1234"}, as)
	case "checkSmsCode":
		return c.CheckSmsCodeWithResponse(ctx, &pimsd.CheckSmsCodeParams{XPimsAccount: &alice}, pimsd.SmsCodeRequest{Action: "enrollment", SmsCode: "246810"}, as)
	case "enroll":
		return c.EnrollWithResponse(ctx, &pimsd.EnrollParams{XPimsAccount: &alice, Replace: &yes}, pimsd.EnrollmentRequest{Action: "enroll", PinCode: "1234", SmsCode: "246810"}, as)
	case "getAccount":
		return c.GetAccountWithResponse(ctx, &pimsd.GetAccountParams{XPimsAccount: &alice}, as)
	case "probeAccount":
		return c.ProbeAccountWithResponse(ctx, &pimsd.ProbeAccountParams{XPimsAccount: &alice}, as)
	case "unlockAccount":
		return c.UnlockAccountWithResponse(ctx, &pimsd.UnlockAccountParams{XPimsAccount: &alice}, pimsd.UnlockRequest{Action: "unlock"}, as)
	case "listAccounts":
		return c.ListAccountsWithResponse(ctx, &pimsd.ListAccountsParams{Limit: &ten}, as)
	case "probeAccounts":
		return c.ProbeAccountsWithResponse(ctx, &pimsd.ProbeAccountsParams{Limit: &ten}, as)
	case "showAccount":
		return c.ShowAccountWithResponse(ctx, alice, as)
	case "probeOneAccount":
		return c.ProbeOneAccountWithResponse(ctx, alice, as)
	case "changeAccount":
		return c.ChangeAccountWithResponse(ctx, alice, pimsd.AccountChange{Action: pimsd.AccountChangeActionUnlock}, as)
	case "importDevice":
		file, err := os.ReadFile(os.Getenv("DEVICE"))
		if err != nil {
			return nil, err
		}
		return c.ImportDeviceWithBodyWithResponse(ctx, "imported", &pimsd.ImportDeviceParams{DryRun: &yes}, "application/octet-stream", bytes.NewReader(file), as)
	case "listKeys":
		return c.ListKeysWithResponse(ctx, as)
	case "probeKeys":
		return c.ProbeKeysWithResponse(ctx, as)
	case "createKey":
		prefix := "fleet-"
		return c.CreateKeyWithResponse(ctx, pimsd.KeyRequest{Kind: pimsd.KeyRequestKindBackend, Prefix: &prefix, Scope: "otp"}, as)
	case "revokeKey":
		return c.RevokeKeyWithResponse(ctx, os.Getenv("KEY_ID"), as)
	case "readAudit":
		return c.ReadAuditWithResponse(ctx, &pimsd.ReadAuditParams{Limit: &ten}, as)
	case "probeAudit":
		return c.ProbeAuditWithResponse(ctx, &pimsd.ProbeAuditParams{Limit: &ten}, as)
	case "getContract":
		return c.GetContractWithResponse(ctx, as)
	case "probeContract":
		return c.ProbeContractWithResponse(ctx, as)
	default:
		return nil, fmt.Errorf("the operation %s is not known", operation)
	}
}
