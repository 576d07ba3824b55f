// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	config := clientcmdapi.NewConfig()
	config.Clusters["kcp"] = &clientcmdapi.Cluster{Server: k.url + "/clusters/root", CertificateAuthorityData: k.ca}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: "token"}
	config.Contexts["admin"] = &clientcmdapi.Context{Cluster: "kcp", AuthInfo: "admin"}
	file := filepath.Join(t.TempDir(), "admin.kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	cmd := NewCommand(&out)
	cmd.SetArgs([]string{"--kubeconfig=" + file, "--context=admin", "--server-user=other", "--without-webhook", "--timeout=20s"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("running the command: %v", err)
	}
	subjects, _, _ := unstructured.NestedSlice(k.object("/clusterrolebindings/tmc-apiserver").Object, "subjects")
	want := []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "other"}}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
}

func TestCommandRefusesBadFlags(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		want []string
	}{
		"all at once": {
			args: []string{"--provider-workspace=Root", "--provider-workspace-type=universal", "--server-user=", "--tenant-group=a\nb", "--timeout=0s"},
			want: []string{"--kubeconfig is required", `--provider-workspace="Root"`, `--provider-workspace-type="universal"`, "--server-user is required", `--tenant-group="a\nb"`, "--timeout=0s"},
		},
		"a kubeconfig that is none":    {args: []string{"--kubeconfig=" + broken, "--without-webhook"}, want: []string{"loading --kubeconfig="}},
		"a group of everybody":         {args: []string{"--kubeconfig=x", "--tenant-group=system:unauthenticated"}, want: []string{"let anybody bind"}},
		"a subject with kcp's prefix":  {args: []string{"--kubeconfig=x", "--server-user=apis.kcp.io:binding:a"}, want: []string{"must be given without it"}},
		"an argument that nobody uses": {args: []string{"now"}, want: []string{"unknown command"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := NewCommand(&bytes.Buffer{})
			cmd.SetArgs(tc.args)
			err := cmd.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("the command succeeded")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	object := func(spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "x", "resourceVersion": "1"}, "spec": spec, "status": map[string]any{"a": "b"},
		}}
	}
	before := object(map[string]any{
		"same": "x", "changed": int64(1), "gone": true,
		"named":     []any{map[string]any{"name": "a", "v": "1"}, map[string]any{"name": "b"}},
		"unnamed":   []any{"x", "y"},
		"duplicate": []any{map[string]any{"name": "a", "v": "1"}, map[string]any{"name": "a", "v": "2"}},
	})
	after := object(map[string]any{
		"same": "x", "changed": int64(2), "new": strings.Repeat("x", 200),
		"named":     []any{map[string]any{"name": "b"}, map[string]any{"name": "a", "v": "2"}},
		"unnamed":   []any{"x"},
		"duplicate": []any{map[string]any{"name": "a", "v": "1"}, map[string]any{"name": "a", "v": "3"}},
	})
	want := []string{
		`spec.changed: 1 -> 2`,
		`spec.duplicate[001].v: "2" -> "3"`,
		`spec.gone: true -> (unset)`,
		`spec.named[a].v: "1" -> "2"`,
		`spec.new: (unset) -> "` + strings.Repeat("x", 99) + `…`,
		`spec.unnamed[001]: "y" -> (unset)`,
	}
	if diff := cmp.Diff(want, diff(before, after)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// brokenWriter fails like a closed pipe.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestReportTellsThatItCouldNotBeWritten(t *testing.T) {
	t.Parallel()
	k := newFakeKCP(t)
	o := options()
	o.Timeout = 20 * time.Second
	err := Run(t.Context(), k.config(""), o, brokenWriter{})
	if err == nil || !strings.Contains(err.Error(), "writing the report: broken pipe") {
		t.Errorf("got %v, wanted the broken pipe", err)
	}
	if k.object("/apiexports/tmc.kcp.io") == nil {
		t.Error("the work was not done for want of a reader")
	}
}
