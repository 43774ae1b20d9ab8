// Calls a pimsd with a generated client. Each line of standard input is an outcome: operation, status, credential, and code (0 for none).
import createClient from "openapi-fetch";
import { readFileSync } from "node:fs";
import type { paths, components } from "./generated.js";

type Failed = components["schemas"]["Failed"];
type Outcome = { error?: Failed; data?: unknown; response: Response };

const baseUrl = process.env.URL!;
const header = { "X-Pims-Account": "alice" };

function call(operation: string, credential: string): Promise<Outcome> {
  const c = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${credential}` } });
  const params = { header };
  const one = { path: { account: "alice" } };
  switch (operation) {
    case "getOtpWithPin":
      return c.POST("/v1/authentication/otp", { params, body: { action: "withPIN", pinCode: "1234" } });
    case "checkSmsCode":
      return c.POST("/v1/authentication/smscode", { params, body: { action: "enrollment", smsCode: "246810" } });
    case "enroll":
      return c.POST("/v1/authentication/enrollment", {
        params: { header, query: { replace: true } },
        body: { action: "enroll", pinCode: "1234", smsCode: "246810" },
      });
    case "getAccount":
      return c.GET("/v1/authentication/account", { params });
    case "probeAccount":
      return c.HEAD("/v1/authentication/account", { params });
    case "unlockAccount":
      return c.POST("/v1/authentication/account", { params, body: { action: "unlock" } });
    case "listAccounts":
      return c.GET("/v1/accounts", { params: { query: { limit: 10, needs: "enrollment" } } });
    case "probeAccounts":
      return c.HEAD("/v1/accounts", { params: { query: { limit: 10 } } });
    case "showAccount":
      return c.GET("/v1/accounts/{account}", { params: { path: one.path } });
    case "probeOneAccount":
      return c.HEAD("/v1/accounts/{account}", { params: { path: one.path } });
    case "changeAccount":
      return c.POST("/v1/accounts/{account}", { params: { path: one.path }, body: { action: "unlock" } });
    case "importDevice":
      return c.PUT("/v1/accounts/{account}/device", {
        params: { path: { account: "imported" }, query: { dryRun: true } },
        body: "" as never,
        bodySerializer: () => readFileSync(process.env.DEVICE!),
        headers: { "Content-Type": "application/octet-stream" },
      });
    case "listKeys":
      return c.GET("/v1/keys");
    case "probeKeys":
      return c.HEAD("/v1/keys");
    case "createKey":
      return c.POST("/v1/keys", { body: { kind: "backend", prefix: "fleet-", scope: "otp" } });
    case "revokeKey":
      return c.DELETE("/v1/keys/{id}", { params: { path: { id: process.env.KEY_ID! } } });
    case "readAudit":
      return c.GET("/v1/audit", { params: { query: { after: 0, limit: 10 } } });
    case "probeAudit":
      return c.HEAD("/v1/audit", { params: { query: { limit: 10 } } });
    case "getContract":
      return c.GET("/openapi.yaml", { parseAs: "text" });
    case "probeContract":
      return c.HEAD("/openapi.yaml");
    default:
      throw new Error(`the operation ${operation} is not known`);
  }
}

for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const [operation, status, credential, code] = line.split(" ");
  const got = await call(operation, credential);
  const gotCode: number = got.error?.error?.code ?? 0;
  const violations = got.response.headers.get("sl-violations") ?? "";
  if (got.response.status !== Number(status) || gotCode !== Number(code) || violations) {
    console.log(`${line}: got ${got.response.status} ${gotCode} ${violations}`);
  }
}
