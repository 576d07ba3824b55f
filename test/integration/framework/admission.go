// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// probeName is that of a ConfigMap that is never made: a webhook that refuses it is in force.
const probeName = "is-the-webhook-in-force"

// Verdict is what a webhook says to a request: it refuses with a message, or adds a JSON patch, or neither.
type Verdict struct {
	Refusal string
	Patch   string
}

// Admit makes the API server of a member ask decide about resources ("deployments.apps", "pods") that are made or changed
// in a namespace, until the test ends. The namespace must exist; Admit returns when the webhook is in force.
func (s *Suite) Admit(t testing.TB, member, namespace, resource string, decide func(*admissionv1.AdmissionRequest) Verdict) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review, err := readReview(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, review, decide)
	}))
	t.Cleanup(server.Close)
	client := s.MemberClient(t, member)
	name, group, _ := strings.Cut(resource, ".")
	hook := webhook(namespace, server, []admissionregistrationv1.RuleWithOperations{
		ruleFor(group, name), ruleFor("", "configmaps"),
	})
	hooks := client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	made, err := hooks.Create(t.Context(), hook, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating a webhook on %s: %v", member, err)
	}
	t.Cleanup(func() {
		if err := hooks.Delete(context.WithoutCancel(t.Context()), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("deleting the webhook of %s: %v", member, err)
		}
	})
	awaitWebhook(t, client, namespace)
}

func awaitWebhook(t testing.TB, client kubernetes.Interface, namespace string) {
	t.Helper()
	Eventually(t, "the webhook to be in force", MemberTimeout, func(ctx context.Context) error {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: probeName}}
		_, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && strings.Contains(err.Error(), probeName) {
			return nil
		}
		return errors.Join(errors.New("it was not asked"), err)
	})
}

func webhook(namespace string, server *httptest.Server, rules []admissionregistrationv1.RuleWithOperations) *admissionregistrationv1.MutatingWebhookConfiguration {
	url := server.URL
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "gatekeeper-"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "gatekeeper.example.com", Rules: rules, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			// When the test has ended, nobody may be held up.
			FailurePolicy: new(admissionregistrationv1.Ignore), SideEffects: new(admissionregistrationv1.SideEffectClassNone),
		}},
	}
}

func ruleFor(group, resource string) admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{resource}},
	}
}

func readReview(body io.Reader) (*admissionv1.AdmissionReview, error) {
	review := &admissionv1.AdmissionReview{}
	if err := json.NewDecoder(io.LimitReader(body, 8*maxBody)).Decode(review); err != nil {
		return nil, fmt.Errorf("decoding a review: %w", err)
	}
	if review.Request == nil {
		return nil, errors.New("decoding a review: it asks nothing")
	}
	return review, nil
}

func answer(w http.ResponseWriter, review *admissionv1.AdmissionReview, decide func(*admissionv1.AdmissionRequest) Verdict) {
	verdict := Verdict{}
	switch {
	case review.Request.Resource.Resource != "configmaps":
		verdict = decide(review.Request)
	case review.Request.Name == probeName:
		verdict.Refusal = probeName
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: verdict.Refusal == ""}
	if verdict.Refusal != "" {
		review.Response.Result = &metav1.Status{Message: verdict.Refusal}
	}
	if verdict.Patch != "" {
		review.Response.Patch, review.Response.PatchType = []byte(verdict.Patch), new(admissionv1.PatchTypeJSONPatch)
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // a caller that is gone needs no answer
}
