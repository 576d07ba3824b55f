// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kcp-dev/logicalcluster/v3"
)

// fakeWorkspaces knows a fixed set of workspaces; all of them are bound.
type fakeWorkspaces map[string]logicalcluster.Name

func (f fakeWorkspaces) Name(path logicalcluster.Path) (logicalcluster.Name, bool) {
	name, ok := f[path.String()]
	return name, ok
}

func (f fakeWorkspaces) Path(name logicalcluster.Name) (logicalcluster.Path, bool) {
	for path, known := range f {
		if known == name {
			return logicalcluster.NewPath(path), true
		}
	}
	return logicalcluster.Path{}, false
}

func (f fakeWorkspaces) Bound(name logicalcluster.Name) bool {
	_, ok := f.Path(name)
	return ok
}

func tenants() fakeWorkspaces {
	return fakeWorkspaces{"root:acme": "acme1", "root:globex": "globex1"}
}

func newParser(t testing.TB) *PathParser {
	t.Helper()
	parser, err := NewPathParser("/services/tmc", tenants())
	if err != nil {
		t.Fatalf("creating a parser: %v", err)
	}
	return parser
}

func TestSEC12ParsePath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		url       string
		target    Target
		rest      string
		outside   bool
		wantError bool
	}{
		"name":                         {url: "/services/tmc/clusters/acme1/apis/tmc.kcp.io", target: Target{"acme1", "acme1"}, rest: "/apis/tmc.kcp.io"},
		"path":                         {url: "/services/tmc/clusters/root:acme/apis", target: Target{"root:acme", "acme1"}, rest: "/apis"},
		"unknown path":                 {url: "/services/tmc/clusters/root:nobody/apis", target: Target{"root:nobody", ""}, rest: "/apis"},
		"wildcard":                     {url: "/services/tmc/clusters/*/apis", target: Target{"*", "*"}, rest: "/apis"},
		"encoded wildcard":             {url: "/services/tmc/clusters/%2A/apis", target: Target{"*", "*"}, rest: "/apis"},
		"encoded wildcard, lower case": {url: "/services/tmc/clusters/%2a/apis", target: Target{"*", "*"}, rest: "/apis"},
		"encoded colon":                {url: "/services/tmc/clusters/root%3Aacme/apis", target: Target{"root:acme", "acme1"}, rest: "/apis"},
		"encoded letter of a name":     {url: "/services/tmc/clusters/acme1/apis/%74mc.kcp.io", target: Target{"acme1", "acme1"}, rest: "/apis/tmc.kcp.io"},
		"workspace only":               {url: "/services/tmc/clusters/acme1", target: Target{"acme1", "acme1"}, rest: "/"},
		"trailing slash":               {url: "/services/tmc/clusters/acme1/apis/", target: Target{"acme1", "acme1"}, rest: "/apis/"},
		"dot in a name":                {url: "/services/tmc/clusters/acme1/apis/g/v/r/east.grant", target: Target{"acme1", "acme1"}, rest: "/apis/g/v/r/east.grant"},

		"health":                       {url: "/readyz", rest: "/readyz", outside: true},
		"root":                         {url: "/", rest: "/", outside: true},
		"prefix only":                  {url: "/services/tmc", rest: "/services/tmc", outside: true},
		"prefix without clusters":      {url: "/services/tmc/foo", rest: "/services/tmc/foo", outside: true},
		"longer prefix":                {url: "/services/tmcx/clusters/acme1/apis", rest: "/services/tmcx/clusters/acme1/apis", outside: true},
		"second prefix is no prefix":   {url: "/x/services/tmc/clusters/acme1", rest: "/x/services/tmc/clusters/acme1", outside: true},
		"prefix in the wrong case":     {url: "/services/TMC/clusters/acme1/apis", rest: "/services/TMC/clusters/acme1/apis", outside: true},
		"nested workspace stays below": {url: "/services/tmc/clusters/acme1/services/tmc/clusters/globex1/apis", target: Target{"acme1", "acme1"}, rest: "/services/tmc/clusters/globex1/apis"},

		"no workspace":             {url: "/services/tmc/clusters/", wantError: true},
		"empty workspace":          {url: "/services/tmc/clusters//apis", wantError: true},
		"doubled slash":            {url: "/services/tmc/clusters/acme1//apis", wantError: true},
		"leading doubled slash":    {url: "//services/tmc/clusters/acme1/apis", wantError: true},
		"traversal":                {url: "/services/tmc/clusters/acme1/../globex1/apis", wantError: true},
		"encoded traversal":        {url: "/services/tmc/clusters/acme1/%2e%2e/globex1/apis", wantError: true},
		"half encoded traversal":   {url: "/services/tmc/clusters/acme1/.%2E/globex1/apis", wantError: true},
		"current directory":        {url: "/services/tmc/clusters/acme1/./apis", wantError: true},
		"traversal as workspace":   {url: "/services/tmc/clusters/../apis", wantError: true},
		"traversal to health":      {url: "/services/tmc/../../healthz", wantError: true},
		"encoded slash":            {url: "/services/tmc/clusters/acme1%2Fapis", wantError: true},
		"encoded slash lower case": {url: "/services/tmc/clusters/acme1%2f..%2fglobex1/apis", wantError: true},
		"encoded backslash":        {url: "/services/tmc/clusters/acme1%5C..%5Cglobex1/apis", wantError: true},
		"encoded percent sign":     {url: "/services/tmc/clusters/acme1%252Fapis", wantError: true},
		"encoded zero byte":        {url: "/services/tmc/clusters/acme1/apis%00", wantError: true},
		"encoded line feed":        {url: "/services/tmc/clusters/acme1/apis%0a", wantError: true},
		"invalid UTF-8":            {url: "/services/tmc/clusters/acme1/%ff", wantError: true},
		"upper case workspace":     {url: "/services/tmc/clusters/ACME1/apis", wantError: true},
		"system workspace":         {url: "/services/tmc/clusters/system:admin:/apis", wantError: true},
		"several wildcards":        {url: "/services/tmc/clusters/**/apis", wantError: true},
		"wildcard in a path":       {url: "/services/tmc/clusters/root:*/apis", wantError: true},
		"empty part of a path":     {url: "/services/tmc/clusters/root::acme/apis", wantError: true},
		"too long":                 {url: "/services/tmc/clusters/acme1/" + strings.Repeat("a", maxPathLength), wantError: true},
		"workspace too long":       {url: "/services/tmc/clusters/" + strings.Repeat("a", 64) + "/apis", wantError: true},
	}
	parser := newParser(t)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.ParseRequestURI(tc.url)
			if err != nil {
				t.Fatalf("parsing %q: %v", tc.url, err)
			}
			target, rest, found, err := parser.Parse(u)
			if (err != nil) != tc.wantError {
				t.Fatalf("error: %v, wanted one: %v", err, tc.wantError)
			}
			if tc.wantError {
				return
			}
			if found == tc.outside || target != tc.target || rest != tc.rest {
				t.Errorf("got %+v, %q, found %v; want %+v, %q, found %v", target, rest, found, tc.target, tc.rest, !tc.outside)
			}
		})
	}
}

// A path that names a wildcard through the index must not become one.
func TestSEC12PathNeverResolvesToWildcard(t *testing.T) {
	t.Parallel()
	parser, err := NewPathParser("/services/tmc", fakeWorkspaces{"root:evil": "*"})
	if err != nil {
		t.Fatal(err)
	}
	target, _, _, err := parser.Parse(&url.URL{Path: "/services/tmc/clusters/root:evil/apis"})
	if err != nil || target.Wildcard() || target.Name != "" {
		t.Errorf("got %+v, %v", target, err)
	}
}

func TestParseRelativeURL(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "*", "services/tmc"} {
		if _, _, _, err := newParser(t).Parse(&url.URL{Path: path}); err == nil {
			t.Errorf("%q was accepted", path)
		}
	}
}

func TestValidatePrefix(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{
		"/services/tmc": true, "/tmc": true,
		"": false, "/": false, "services": false, "/services/": false, "/services//tmc": false, "/a/../b": false,
		"/a%2Fb": false, "/apis": false, "/apis/x": false, "/healthz": false, "/openapi": false, "/metrics": false,
	} {
		if _, err := NewPathParser(prefix, tenants()); (err == nil) != good {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func FuzzSEC12ParsePath(f *testing.F) {
	for _, seed := range []string{
		"/services/tmc/clusters/acme1/apis", "/services/tmc/clusters/%2A/apis/tmc.kcp.io/v1alpha1",
		"/services/tmc/clusters/root:acme/../x", "/services/tmc/clusters/a%2f%2e%2e/", "//", "/services/tmc/clusters/\x00",
	} {
		f.Add(seed)
	}
	parser := newParser(f)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			return
		}
		target, rest, found, err := parser.Parse(u)
		if err != nil {
			if found || rest != "" || target != (Target{}) {
				t.Fatalf("an error came with a result: %+v, %q, %v", target, rest, found)
			}
			return
		}
		if !strings.HasPrefix(rest, "/") || !utf8.ValidString(rest) || strings.ContainsAny(rest, "\\%\x00\n\r") {
			t.Fatalf("unsafe path %q", rest)
		}
		for i, segment := range strings.Split(rest[1:], "/") {
			if segment == ".." || segment == "." || segment == "" && i != strings.Count(rest, "/")-1 {
				t.Fatalf("unsafe segment in %q", rest)
			}
		}
		if !found {
			if target != (Target{}) || rest != u.Path {
				t.Fatalf("a path outside was changed: %q to %q", u.Path, rest)
			}
			return
		}
		if target.Requested == "" || strings.ContainsAny(target.Requested, "/\\%. ") {
			t.Fatalf("unsafe workspace %q", target.Requested)
		}
		if target.Wildcard() != (target.Requested == "*") {
			t.Fatalf("%q is a wildcard: %v", target.Requested, target.Wildcard())
		}
		// The parts put together again are the path: nothing was lost and nothing invented.
		joined := "/services/tmc/clusters/" + target.Requested + rest
		if joined != u.Path && joined != u.Path+"/" {
			t.Fatalf("%q became %q", u.Path, joined)
		}
	})
}
