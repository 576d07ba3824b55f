// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kcp-dev/tmc/apis/manifests"
)

func newTestHandler(t *testing.T) (*Handler, metrics.KubeRegistry, *clocktesting.FakeClock) {
	t.Helper()
	registry := metrics.NewKubeRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	fake := clocktesting.NewFakeClock(time.Unix(1e9, 0))
	return NewHandler(fake, m), registry, fake
}

func ask(h http.Handler, body string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	h.ServeHTTP(recorder, req)
	return recorder
}

func admissionReview(t *testing.T, manager, patch string) string {
	t.Helper()
	old := parse(t, deployment)
	return string(encode(t, admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  request(t, manager, old, inKCP(t, old, []byte(patch))),
	}))
}

func TestHandlerAnswers(t *testing.T) {
	t.Parallel()
	const patch = `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"nginx:2"}]}}}}`
	h, registry, _ := newTestHandler(t)
	for manager, want := range map[string]Outcome{"kubectl-set": Mended, "kubectl-patch": Refused, "tmc-exact": Untouched} {
		recorder := ask(h, admissionReview(t, manager, patch))
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || recorder.Code != http.StatusOK {
			t.Fatalf("status %d, body %s, error %v", recorder.Code, recorder.Body, err)
		}
		response := review.Response
		if response.UID != "r-1" || review.Kind != "AdmissionReview" || response.Allowed == (want == Refused) || (response.Patch != nil) != (want == Mended) {
			t.Errorf("%s: response %+v", manager, response)
		}
		switch want {
		case Mended:
			var steps []operation
			if err := json.Unmarshal(response.Patch, &steps); err != nil || *response.PatchType != admissionv1.PatchTypeJSONPatch {
				t.Fatalf("patch %s: %v", response.Patch, err)
			}
			paths := []string{steps[0].Op + steps[0].Path, steps[1].Op + steps[1].Path}
			if diff := cmp.Diff([]string{"add/metadata", "add/spec"}, paths); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			spec := map[string]any{"spec": steps[1].Value}
			if container(spec, 0)["image"] != "nginx:2" || container(spec, 1)["name"] != "sidecar" {
				t.Errorf("spec %v", spec)
			}
		case Refused:
			if response.Result.Code != http.StatusBadRequest || !strings.Contains(response.Result.Message, "containers[sidecar]") {
				t.Errorf("result %+v", response.Result)
			}
		case Untouched:
		}
	}
	wantCounts(t, registry, map[string]float64{"mended": 1, "refused": 1, "untouched": 1})
}

func wantCounts(t *testing.T, registry metrics.KubeRegistry, want map[string]float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "tmc_patchguard_reviews_total" {
				got[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// SEC-20: the handler needs no identity, so it takes nothing on trust.
func TestHandlerRefusesWhatIsNoReview(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, media, body string
		want                int
	}{
		"GET":                {http.MethodGet, "application/json", "", http.StatusMethodNotAllowed},
		"a form":             {http.MethodPost, "application/x-www-form-urlencoded", "a=b", http.StatusUnsupportedMediaType},
		"no media type":      {http.MethodPost, "", "{}", http.StatusUnsupportedMediaType},
		"no JSON":            {http.MethodPost, "application/json", "{", http.StatusBadRequest},
		"no request":         {http.MethodPost, "application/json", `{"apiVersion":"admission.k8s.io/v1"}`, http.StatusBadRequest},
		"another version":    {http.MethodPost, "application/json", `{"apiVersion":"admission.k8s.io/v1beta1","request":{}}`, http.StatusBadRequest},
		"an object not JSON": {http.MethodPost, "application/json", `{"apiVersion":"admission.k8s.io/v1","request":{"operation":"UPDATE","object":[1]}}`, http.StatusBadRequest},
		"too large":          {http.MethodPost, "application/json", strings.Repeat(" ", maxBody+1), http.StatusRequestEntityTooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, registry, _ := newTestHandler(t)
			recorder := httptest.NewRecorder()
			req := httptest.NewRequest(test.method, Path, strings.NewReader(test.body))
			req.Header.Set("Content-Type", test.media)
			h.ServeHTTP(recorder, req)
			if recorder.Code != test.want {
				t.Errorf("status %d, want %d: %s", recorder.Code, test.want, recorder.Body)
			}
			wantCounts(t, registry, map[string]float64{"malformed": 1})
		})
	}
}

type brokenBody struct{ panics bool }

func (b brokenBody) Read([]byte) (int, error) {
	if b.panics {
		panic("broken")
	}
	return 0, errors.New("broken")
}

func TestHandlerSurvivesItsCallers(t *testing.T) {
	t.Parallel()
	for want, body := range map[int]io.Reader{http.StatusBadRequest: brokenBody{}, http.StatusInternalServerError: brokenBody{panics: true}} {
		h, _, _ := newTestHandler(t)
		recorder := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, Path, body)
		req.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(recorder, req)
		if recorder.Code != want || len(h.slots) != 0 {
			t.Errorf("status %d, want %d; %d slots taken", recorder.Code, want, len(h.slots))
		}
	}
}

// SEC-20: callers wait for their turn, and not for long.
func TestHandlerBoundsItsLoad(t *testing.T) {
	t.Parallel()
	h, registry, fake := newTestHandler(t)
	for range maxInFlight {
		h.slots <- struct{}{}
	}
	answers := make(chan *httptest.ResponseRecorder, 1)
	go func() { answers <- ask(h, "{}") }()
	for !fake.HasWaiters() {
		select {
		case got := <-answers:
			t.Fatalf("answered without waiting: %d", got.Code)
		default:
		}
	}
	fake.Step(patience)
	if got := <-answers; got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d", got.Code)
	}
	wantCounts(t, registry, map[string]float64{"busy": 1})

	go func() { answers <- ask(h, "{}") }()
	<-h.slots
	if got := <-answers; got.Code != http.StatusBadRequest {
		t.Errorf("status %d after a slot became free", got.Code)
	}
	h.slots <- struct{}{}
	ended := httptest.NewRequest(http.MethodPost, Path, strings.NewReader("{}"))
	ended.Header.Set("Content-Type", "application/json")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, ended.WithContext(ctx))
	if recorder.Code != http.StatusTooManyRequests {
		t.Errorf("status %d for a caller that went away", recorder.Code)
	}
}

func TestWithoutMetrics(t *testing.T) {
	t.Parallel()
	if got := ask(NewHandler(clocktesting.NewFakeClock(time.Unix(1e9, 0)), nil), "{}"); got.Code != http.StatusBadRequest {
		t.Errorf("status %d", got.Code)
	}
}

// The installation names the path that is served here.
func TestTheWebhookNamesThePath(t *testing.T) {
	t.Parallel()
	objects, err := manifests.Provider(manifests.Parameters{WebhookURL: "https://tmc.example.com:6443"})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() == "MutatingWebhookConfiguration" {
			hooks, _ := object.Object["webhooks"].([]any)
			if got := stringAt(hooks[0].(map[string]any), "clientConfig", "url"); got != "https://tmc.example.com:6443"+Path {
				t.Errorf("the URL is %s", got)
			}
			return
		}
	}
	t.Error("there is no webhook configuration")
}
