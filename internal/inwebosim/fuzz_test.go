package inwebosim

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// recorder keeps the bodies of the answers that pass.
type recorder struct {
	next   http.RoundTripper
	bodies bytes.Buffer
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	r.bodies.Write(body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, err
}

// FuzzProcess: whatever is asked, the answer is a flat document with one err, strict or not.
func FuzzProcess(f *testing.F) {
	s, err := New(Options{Seed: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Stop(f.Context()) })
	s.Start()
	c := enrolled(f, s)
	f.Add(c.setupParams().Encode(), true)
	f.Add(c.finalizeParams("5", c.pin).Encode(), true)
	f.Add("action=ActionFinalize&mode=ms&id="+c.id, false)
	f.Add("action=ActionFinalize&mode=activate&code=123456&serial=a/_/0123456789abcdef0123456789abcdef", false)
	f.Add("action=ActionSetup&mode=activate&code=123456", false)
	f.Add("action=x&mode=%26%3c", false)
	f.Fuzz(func(t *testing.T, query string, strict bool) {
		p, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		k := DefaultKnobs()
		k.StrictParameters = strict
		if err := s.SetKnobs(k); err != nil {
			t.Fatal(err)
		}
		ans, _ := s.process(s.knobs.Load(), p)
		r, err := parseReply(rootOf(p.Get("action")), ans.document())
		if err != nil || len(r["err"]) != 1 {
			t.Errorf("%s: %s, %v", query, ans.document(), err)
		}
	})
}
