// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/pkg/workspace"
)

// maxPathLength is well above the longest path of a view: a prefix, a workspace path and a name.
const maxPathLength = 4096

// clustersSegment parts the prefix from the workspace in a request path.
const clustersSegment = "clusters"

// Workspaces tells which workspaces use the export. It answers from memory.
type Workspaces interface {
	// Name returns the logical cluster name of the workspace at a path such as root:team-a.
	Name(path logicalcluster.Path) (logicalcluster.Name, bool)
	// Path returns the path of a workspace.
	Path(name logicalcluster.Name) (logicalcluster.Path, bool)
	// Bound reports whether a workspace has an active binding to the export.
	Bound(name logicalcluster.Name) bool
}

// Target is the workspace that a request path names.
type Target struct {
	// Requested is the workspace as it stands in the path: a name, a path or *.
	Requested string
	// Name is the logical cluster name. It is empty if no workspace is known at the requested path.
	Name logicalcluster.Name
}

// Wildcard reports whether the request is for all workspaces.
func (t Target) Wildcard() bool { return t.Name == workspace.Wildcard }

type targetKey struct{}

func withTarget(ctx context.Context, target Target) context.Context {
	ctx = context.WithValue(ctx, targetKey{}, target)
	if target.Name != "" {
		ctx = workspace.With(ctx, target.Name)
	}
	return ctx
}

// TargetFrom returns the workspace that the path of a request named, and whether it named one.
func TargetFrom(ctx context.Context) (Target, bool) {
	target, ok := ctx.Value(targetKey{}).(Target)
	return target, ok
}

// PathParser takes <prefix>/clusters/<workspace> off request paths.
type PathParser struct {
	prefix     string
	workspaces Workspaces
	segment    *regexp.Regexp
}

// NewPathParser returns a parser for a prefix such as /services/tmc.
func NewPathParser(prefix string, workspaces Workspaces) (*PathParser, error) {
	if err := ValidatePrefix(prefix); err != nil {
		return nil, err
	}
	const label = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	segment := regexp.MustCompile(`^(\*|` + label + `(:` + label + `)*)$`)
	return &PathParser{prefix: prefix, workspaces: workspaces, segment: segment}, nil
}

// ValidatePrefix refuses a path prefix that could not be told from other paths.
func ValidatePrefix(prefix string) error {
	if !strings.HasPrefix(prefix, "/") || strings.HasSuffix(prefix, "/") {
		return fmt.Errorf("the path prefix %q must start with a slash and not end with one, for example /services/tmc", prefix)
	}
	if err := checkSegments(prefix); err != nil {
		return fmt.Errorf("the path prefix %q cannot be served: %w", prefix, err)
	}
	for _, reserved := range []string{"/api", "/apis", "/openapi", "/healthz", "/livez", "/readyz", "/metrics", "/version"} {
		if prefix == reserved || strings.HasPrefix(prefix, reserved+"/") {
			return fmt.Errorf("the path prefix %q hides %s; choose another, for example /services/tmc", prefix, reserved)
		}
	}
	return nil
}

// Parse checks a request URL and splits it. Found is false for a path outside of <prefix>/clusters; the rest is then
// the whole path. An error is the client's fault and says nothing that the client did not send.
func (p *PathParser) Parse(u *url.URL) (target Target, rest string, found bool, err error) {
	if err := checkURL(u); err != nil {
		return Target{}, "", false, err
	}
	after, ok := strings.CutPrefix(u.Path, p.prefix+"/"+clustersSegment+"/")
	if !ok {
		return Target{}, u.Path, false, nil
	}
	requested, rest, _ := strings.Cut(after, "/")
	if !p.segment.MatchString(requested) {
		return Target{}, "", false, errors.New("the workspace in the request path is neither a name, a path such as root:team-a, nor *")
	}
	return Target{Requested: requested, Name: p.resolve(requested)}, "/" + rest, true, nil
}

// resolve answers with an empty name if the path is not known, so that whether it exists is told to nobody who is not
// authenticated.
func (p *PathParser) resolve(requested string) logicalcluster.Name {
	if !strings.Contains(requested, ":") {
		return logicalcluster.Name(requested)
	}
	name, found := p.workspaces.Name(logicalcluster.NewPath(requested))
	if !found || name == workspace.Wildcard {
		return ""
	}
	return name
}

// checkURL refuses every path that two parties on the way could read in two ways.
func checkURL(u *url.URL) error {
	if len(u.Path) > maxPathLength {
		return fmt.Errorf("the request path is longer than %d bytes", maxPathLength)
	}
	raw := strings.ToLower(u.EscapedPath())
	for _, encoded := range []string{"%2f", "%5c", "%25"} {
		if strings.Contains(raw, encoded) {
			return errors.New("the request path holds an encoded slash, backslash or percent sign")
		}
	}
	if !strings.HasPrefix(u.Path, "/") {
		return errors.New("the request path does not start with a slash")
	}
	return checkSegments(u.Path)
}

func checkSegments(path string) error {
	if !utf8.ValidString(path) {
		return errors.New("the request path is not valid UTF-8")
	}
	for _, r := range path {
		if r < ' ' || r == 0x7f || r == '\\' || r == '%' {
			return errors.New("the request path holds a control character, a backslash or a percent sign")
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		switch {
		case segment == "." || segment == "..":
			return errors.New("the request path holds a relative segment")
		case segment == "" && i != len(segments)-1:
			return errors.New("the request path holds an empty segment")
		}
	}
	return nil
}
