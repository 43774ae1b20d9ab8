package authn_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"
)

// forgery is a token that must not be taken.
type forgery struct {
	token string
	why   string // what the observer is told: part of it
	late  bool   // only a key can tell, so that it is neither good nor bad while keys are out of reach
}

// signed forges by a good signature under another header or other claims.
func signed(header, claims any, why string) forgery {
	return forgery{token: sign(header, claims, edKey()), why: why}
}

// late forges what only a key can tell.
func (f forger) late(header, key any, why string) forgery {
	return forgery{token: sign(header, f.claims(), key), why: why, late: true}
}

// forgeries is the whole table at noon.
func forgeries() map[string]forgery { return forger{noon}.forgeries() }

// forger forges tokens that would be good now.
type forger struct{ now time.Time }

func (f forger) claims() object { return claimsAt(f.now) }

// forgeries is the whole table, by what is wrong with each.
func (f forger) forgeries() map[string]forgery {
	all := map[string]forgery{}
	for _, some := range []map[string]forgery{
		f.algorithmForgeries(), f.headerForgeries(), f.keyForgeries(), f.claimForgeries(), f.timeForgeries(), f.subjectForgeries(), f.formForgeries(),
	} {
		for name, forged := range some {
			if _, twice := all[name]; twice {
				panic("two forgeries are " + name)
			}
			all[name] = forged
		}
	}
	return all
}

func (f forger) algorithmForgeries() map[string]forgery {
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk := must(json.Marshal(published("rsa", rsaKey().Public())))
	unsigned := func(alg string) string { return encode(text(header(alg, "ed"))) + "." + encode(text(f.claims())) + "." }
	const form, algorithm, bad = "compact form", "not one of its issuer's", "signature"
	partsHead, partsBody := garageAt(f.now)
	return map[string]forgery{
		"alg none":                       {unsigned("none"), form, false},
		"alg None":                       {unsigned("None"), form, false},
		"alg none with a signature":      signed(header("none", "ed"), f.claims(), form),
		"no alg":                         signed(header("", "ed").but("alg", nil), f.claims(), form),
		"alg null":                       signed(`{"alg":null,"kid":"ed"}`, f.claims(), form),
		"alg a number":                   signed(`{"alg":1,"kid":"ed"}`, f.claims(), "header"),
		"HS256 by the public key in PEM": {sign(header("HS256", "rsa"), f.claims(), inPEM), form, false},
		"HS256 by the public key in DER": {sign(header("HS256", "rsa"), f.claims(), der), form, false},
		"HS256 by the public key's JWK":  {sign(header("HS256", "rsa"), f.claims(), jwk), form, false},
		"HS256 by the published secret":  {sign(header("HS256", "shared"), f.claims(), sharedKey()), form, false},
		"RS384, which no issuer allows":  {sign(header("RS384", "rsa"), f.claims(), rsaKey()), form, false},
		"the other issuer's algorithm":   {sign(partsHead.but("alg", "RS256"), partsBody, rsaKey()), algorithm, false},
		"ES256 with the key of RSA":      f.late(header("ES256", "rsa"), ecKey(), bad),
		"RS256 with the key of EdDSA":    f.late(header("RS256", "ed"), rsaKey(), bad),
		"EdDSA with the key of EC":       f.late(header("EdDSA", "ec"), edKey(), bad),
		"PS256 with a key for RS256":     f.late(header("PS256", "rs256"), rsaKey(), bad),
		"ES256 with a signature of zeros": {
			encode(text(header("ES256", "ec"))) + "." + encode(text(f.claims())) + "." + encode(strings.Repeat("\x00", 64)), bad, true,
		},
	}
}

func (f forger) headerForgeries() map[string]forgery {
	const name, broken, typ = "crit, b64, jku", "header is not", "typ is not"
	head := header("EdDSA", "ed")
	partsHead, partsBody := garageAt(f.now)
	byParts := func(h object) forgery { return forgery{token: sign(h, partsBody, otherKey()), why: typ} }
	return map[string]forgery{
		"jku":                              signed(head.but("jku", attacker), f.claims(), name),
		"jku and its key":                  {sign(head.but("jku", attacker).but("kid", "theirs"), f.claims(), otherKey()), name, false},
		"jku of the issuer":                signed(head.but("jku", loginJWKS), f.claims(), name),
		"jwk and its key":                  {sign(head.but("jwk", published("ed", otherKey().Public())), f.claims(), otherKey()), name, false},
		"jwk of the issuer":                signed(head.but("jwk", published("ed", edKey().Public())), f.claims(), name),
		"jwk null":                         signed(`{"alg":"EdDSA","kid":"ed","jwk":null}`, f.claims(), name),
		"x5u":                              signed(head.but("x5u", attacker), f.claims(), name),
		"x5c":                              signed(head.but("x5c", []string{"MIIB"}), f.claims(), name),
		"x5c empty":                        signed(head.but("x5c", []string{}), f.claims(), name),
		"crit unknown":                     signed(head.but("crit", []string{"exp"}).but("exp", 1), f.claims(), name),
		"crit b64":                         signed(head.but("crit", []string{"b64"}).but("b64", true), f.claims(), name),
		"crit empty":                       signed(head.but("crit", []string{}), f.claims(), name),
		"crit null":                        signed(`{"alg":"EdDSA","kid":"ed","crit":null}`, f.claims(), name),
		"b64 false":                        signed(head.but("b64", false), f.claims(), name),
		"alg twice":                        signed(`{"alg":"none","alg":"EdDSA","kid":"ed"}`, f.claims(), broken),
		"alg twice, written otherwise":     signed(`{"\u0061lg":"none","alg":"EdDSA","kid":"ed"}`, f.claims(), broken),
		"kid twice":                        signed(`{"alg":"EdDSA","kid":"rsa","kid":"ed"}`, f.claims(), broken),
		"an unknown header name twice":     signed(`{"alg":"EdDSA","kid":"ed","v":1,"v":1}`, f.claims(), broken),
		"a header that is a list":          signed(`["EdDSA"]`, f.claims(), broken),
		"a header that is null":            signed(`null`, f.claims(), "compact form"),
		"a header with more behind it":     signed(`{"alg":"EdDSA","kid":"ed"} {}`, f.claims(), broken),
		"a header that is not JSON":        signed(`alg=EdDSA`, f.claims(), broken),
		"alg in another case":              signed(`{"Alg":"EdDSA","kid":"ed"}`, f.claims(), "compact form"),
		"a logout token":                   signed(head.but("typ", "logout+jwt"), f.claims(), typ),
		"typ empty":                        signed(head.but("typ", ""), f.claims(), typ),
		"typ a list":                       signed(head.but("typ", []string{"JWT"}), f.claims(), broken),
		"an ID token by its typ":           byParts(partsHead.but("typ", "JWT")),
		"no typ where the issuer sets one": byParts(partsHead.but("typ", nil)),
		"typ that begins like the right one": byParts(
			partsHead.but("typ", "at+jwt;v=1")),
		"typ with the prefix twice": byParts(partsHead.but("typ", "application/application/at+jwt")),
	}
}

func (f forger) keyForgeries() map[string]forgery {
	const unknown, bad = "none of its issuer's", "signature"
	head := header("EdDSA", "ed")
	return map[string]forgery{
		"kid unknown":                 f.late(head.but("kid", "gone"), edKey(), unknown),
		"kid in another case":         f.late(head.but("kid", "ED"), edKey(), unknown),
		"kid of another issuer":       f.late(head.but("kid", "parts"), otherKey(), unknown),
		"kid missing":                 f.late(head.but("kid", nil), edKey(), "no kid"),
		"kid null":                    f.late(`{"alg":"EdDSA","kid":null}`, edKey(), "no kid"),
		"kid empty":                   signed(head.but("kid", ""), f.claims(), "header is not"),
		"kid a number":                signed(head.but("kid", 1), f.claims(), "header is not"),
		"kid a path":                  f.late(head.but("kid", "../../dev/null"), otherKey(), unknown),
		"kid of a key for encryption": f.late(header("RS256", "enc"), rsaKey(), unknown),
		"kid of a key for other ends": f.late(header("RS256", "ops"), rsaKey(), unknown),
		"kid of a short key":          f.late(header("RS256", "short"), shortKey(), unknown),
		"kid of a published private":  f.late(head.but("kid", "private"), edKey(), unknown),
		"kid of a broken key":         f.late(header("ES256", "broken"), ecKey(), unknown),
		"another's key":               f.late(head, otherKey(), bad),
		"another's key of RSA":        f.late(header("RS256", "rsa"), shortKey(), bad),
	}
}

func (f forger) claimForgeries() map[string]forgery {
	const issuer, audience, broken = "no configured issuer", "audience", "claims are not"
	head := header("EdDSA", "ed")
	claim := func(name string, value any, why string) forgery {
		return signed(head, f.claims().but(name, value), why)
	}
	return map[string]forgery{
		"iss missing":                     claim("iss", nil, issuer),
		"iss wrong":                       claim("iss", "https://attacker.example/", issuer),
		"iss without its slash":           claim("iss", strings.TrimSuffix(loginURL, "/"), issuer),
		"iss in another case":             claim("iss", strings.ToUpper(loginURL), issuer),
		"iss a list":                      claim("iss", []string{loginURL}, broken),
		"iss of the other issuer":         lateClaims(head.but("typ", "at+jwt"), partsClaimsAt(f.now), "none of its issuer's"),
		"aud missing":                     claim("aud", nil, audience),
		"aud of another":                  claim("aud", "other", audience),
		"aud of the other issuer":         claim("aud", "urn:pims", audience),
		"aud that begins like ours":       claim("aud", "pimsd2", audience),
		"aud in another case":             claim("aud", "PIMSD", audience),
		"aud empty":                       claim("aud", "", audience),
		"aud of no one":                   claim("aud", []string{}, audience),
		"aud a number":                    claim("aud", 1, broken),
		"aud a list with a number":        claim("aud", []any{"pimsd", 1}, broken),
		"aud an object":                   claim("aud", object{"pimsd": 1}, broken),
		"an ID token by its audience":     claim("aud", "mobile-app", audience),
		"iss twice":                       signed(head, f.twice("iss", "https://attacker.example/"), broken),
		"sub twice":                       signed(head, f.twice("sub", "bob"), broken),
		"sub twice, written otherwise":    signed(head, f.twice(`\u0073ub`, "bob"), broken),
		"aud twice":                       signed(head, f.twice("aud", "other"), broken),
		"a claim of no matter twice":      signed(head, f.twice("scope", "other"), broken),
		"claims that are a list":          signed(head, `[]`, broken),
		"claims that are null":            signed(head, `null`, issuer),
		"claims that are a text":          signed(head, `"x"`, broken),
		"claims that are empty":           signed(head, `{}`, issuer),
		"claims with more behind them":    signed(head, text(f.claims())+"{}", broken),
		"claims with names in upper case": signed(head, strings.ToUpper(text(f.claims())), issuer),
		"claims after a byte order mark":  signed(head, "\ufeff"+text(f.claims()), broken),
	}
}

// lateClaims forges by a good signature, under claims that only a key can tell to be wrong.
func lateClaims(header, claims any, why string) forgery {
	forged := signed(header, claims, why)
	forged.late = true
	return forged
}

func partsClaimsAt(now time.Time) object {
	_, body := garageAt(now)
	return body
}

// twice returns the claims with one more member.
func (f forger) twice(name, value string) string {
	return strings.TrimSuffix(text(f.claims()), "}") + `,"` + name + `":"` + value + `"}`
}

func (f forger) timeForgeries() map[string]forgery {
	const expired, missing, early, broken = "expired", "no exp", "not valid yet", "claims are not"
	claim := func(name string, value any, why string) forgery {
		return signed(header("EdDSA", "ed"), f.claims().but(name, value), why)
	}
	written := func(number string) any { return json.RawMessage(number) }
	return map[string]forgery{
		"expired":               claim("exp", f.now.Unix()-61, expired),
		"expired long ago":      claim("exp", 1, expired),
		"exp before 1970":       claim("exp", -1, expired),
		"exp missing":           claim("exp", nil, missing),
		"exp null":              claim("exp", written("null"), missing),
		"exp a text":            claim("exp", "99999999999", broken),
		"exp beyond all time":   claim("exp", written("1e300"), broken),
		"exp beyond all floats": claim("exp", written("1e999"), broken),
		"exp true":              claim("exp", true, broken),
		"exp twice":             signed(header("EdDSA", "ed"), strings.TrimSuffix(text(f.claims()), "}")+`,"exp":99999999999}`, broken),
		"nbf to come":           claim("nbf", f.now.Unix()+61, early),
		"nbf a text":            claim("nbf", "0", broken),
		"iat to come":           claim("iat", f.now.Unix()+61, "future"),
	}
}

func (f forger) subjectForgeries() map[string]forgery {
	all := map[string]forgery{"sub missing": signed(header("EdDSA", "ed"), f.claims().but("sub", nil), "cannot name")}
	for name, sub := range map[string]string{
		"empty": "", "too long": strings.Repeat("a", 127), "not ASCII": "zoë", "with a tab": "a\tb", "with a line break": "a\nb",
		"with a zero": "a\x00", "with a delete character": "a\x7f", "with a right-to-left mark": "\u202ea",
	} {
		all["sub "+name] = signed(header("EdDSA", "ed"), f.claims().but("sub", sub), "cannot name")
	}
	for name, sub := range map[string]any{"a number": 7, "a list": []string{"alice"}, "an object": object{}, "true": true} {
		all["sub "+name] = signed(header("EdDSA", "ed"), f.claims().but("sub", sub), "claims are not")
	}
	all["sub not UTF-8"] = signed(header("EdDSA", "ed"), strings.Replace(text(f.claims()), "alice", "\xff", 1), "cannot name")

	head, body := garageAt(f.now)
	for name, value := range map[string]any{"missing": nil, "empty": "", "a number": 7, "null": json.RawMessage("null"), "a list": []string{"7"}} {
		body := body.but("sub", "alice").but("garage", value)
		all["claim for the account "+name] = forgery{token: sign(head, body, otherKey()), why: "cannot name"}
	}
	return all
}

func (f forger) formForgeries() map[string]forgery {
	const form = "compact form"
	token := good(f.now, "ed")
	parts := strings.Split(token, ".")
	bob := encode(text(f.claims().but("sub", "bob")))
	flattened := text(object{"protected": parts[0], "payload": parts[1], "signature": parts[2]})
	general := text(object{"payload": parts[1], "signatures": []object{{"protected": parts[0], "signature": parts[2]}}})
	changed := func(s string) forgery { return forgery{s, "signature", true} }
	plain := func(s string) forgery { return forgery{token: s, why: form} }
	return map[string]forgery{
		"empty":                        plain(""),
		"dots":                         plain(".."),
		"signature stripped":           plain(parts[0] + "." + parts[1] + "."),
		"signature and dot stripped":   plain(parts[0] + "." + parts[1]),
		"payload detached":             plain(parts[0] + ".." + parts[2]),
		"a dot behind":                 plain(token + "."),
		"a part behind":                plain(token + ".e30"),
		"a line break behind":          plain(token + "\n"),
		"a line break within":          plain(parts[0] + "." + parts[1][:4] + "\n" + parts[1][4:] + "." + parts[2]),
		"a blank behind":               plain(token + " "),
		"padding behind":               plain(token + "=="),
		"garbage behind":               plain(token + "!"),
		"ordinary base64":              plain(strings.NewReplacer("-", "+", "_", "/").Replace(sign(header("EdDSA", "ed").but("v", "\u00ff~~?>"), f.claims(), edKey()))),
		"a signature written loosely":  plain(token[:len(token)-1] + loosened(token[len(token)-1])),
		"flattened JSON":               plain(flattened),
		"general JSON":                 plain(general),
		"an encrypted token":           plain(encode(`{"alg":"dir","enc":"A128GCM"}`) + "..AAAA.AAAA.AAAA"),
		"a token within a token":       signed(header("EdDSA", "ed").but("cty", "JWT"), token, "claims are not"),
		"too long":                     {sign(header("EdDSA", "ed"), f.claims().but("x", strings.Repeat("x", 8<<10)), edKey()), "8 KiB", false},
		"too long before it is read":   {strings.Repeat(".", 8<<10+1), "8 KiB", false},
		"another payload":              changed(parts[0] + "." + bob + "." + parts[2]),
		"another header":               changed(encode(text(header("EdDSA", "ed").but("v", 1))) + "." + parts[1] + "." + parts[2]),
		"a signature with more behind": changed(token + "AAAA"),
		"a signature too short":        changed(parts[0] + "." + parts[1] + "." + encode(strings.Repeat("x", 63))),
		"a signature of one byte":      changed(parts[0] + "." + parts[1] + ".AA"),
	}
}

// loosened gives another digit of base64 that decodes to the same byte, the last of a signature of 64 bytes.
func loosened(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, digit)+1:][:1]
}
