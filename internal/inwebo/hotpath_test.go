package inwebo_test

import (
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/testkit/hotpath"
)

const (
	plainAnswer = `<?xml version="1.0" encoding="UTF-8"?><ActionFinalize><err>OK</err><defi>1234567890</defi>` +
		`<dK1>00112233445566778899aabbccddeeff</dK1></ActionFinalize>`
	otherAnswer = `<?xml version="1.0" encoding="UTF-8"?><ActionFinalize><err>OK</err><s_n>1</s_n><s_id>7</s_id>` +
		`<s_name>Peugeot &amp; Citroën</s_name></ActionFinalize>`
)

func hotSteps(tb testing.TB) []hotpath.Step {
	tb.Helper()
	client := newClient(tb, target(tb, "http://127.0.0.1:9"))
	parse := func(text string) func() {
		return func() {
			if _, err := inwebo.ParseDocument([]byte(text)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return []hotpath.Step{
		{Name: "plain answer", Most: 5, Do: parse(plainAnswer)},
		{Name: "other answer", Most: 5, Do: parse(otherAnswer)},
		{Name: "request", Most: 3, Do: func() {
			client.Request("action", "ActionFinalize", "mode", "otp", "version", "Generator-1.0/0.2.11", "ack", "")
		}},
	}
}

func TestAllocations(t *testing.T) { hotpath.Test(t, hotSteps(t)) }

func BenchmarkHotPath(b *testing.B) { hotpath.Benchmark(b, hotSteps(b)) }
