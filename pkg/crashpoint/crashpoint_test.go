// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package crashpoint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
)

// constants returns the names and values of the constants of type Point.
func constants(t *testing.T) map[string]Point {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "crashpoint.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Point{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Point" {
			found[spec.Names[0].Name] = Point(strings.Trim(spec.Values[0].(*ast.BasicLit).Value, "`\""))
		}
		return true
	})
	return found
}

func TestPointsNamesAllOfThemOnce(t *testing.T) {
	t.Parallel()
	want := sets.New[Point]()
	for _, point := range constants(t) {
		want.Insert(point)
	}
	if diff := cmp.Diff(sets.List(want), sets.List(sets.New(Points()...))); diff != "" {
		t.Errorf("points differ from the constants (-constants +points):\n%s", diff)
	}
	if len(Points()) != want.Len() || want.Len() == 0 {
		t.Errorf("there are %d points, of which %d differ", len(Points()), want.Len())
	}
	for _, point := range Points() {
		if !regexp.MustCompile(`^[a-z]+\.[a-z]+\.(before|after)$`).MatchString(string(point)) {
			t.Errorf("point %q is not named component.step.before or .after", point)
		}
	}
}

// TestEveryPointIsHitSomewhere: a point that no code hits proves nothing, and a hit is written by constant.
func TestEveryPointIsHitSomewhere(t *testing.T) {
	t.Parallel()
	hits := map[string]int{}
	call := regexp.MustCompile(`crashpoint\.Hit\(([^)]*)\)`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			hits[found[1]]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range constants(t) {
		if hits["crashpoint."+name] == 0 {
			t.Errorf("no code hits %s", name)
		}
		delete(hits, "crashpoint."+name)
	}
	if len(hits) > 0 {
		t.Errorf("hits of what is no point: %v", hits)
	}
}

func TestHitOfNoPointDoesNothing(t *testing.T) {
	t.Parallel()
	Hit("no.such.before") // returns, in every build
}
