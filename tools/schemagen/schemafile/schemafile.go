// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schemafile keeps folders of APIResourceSchemas, one file each, and the APIExport that names them.
//
// A schema's name is v<yymmdd>-<hash8>.<plural>.<group>: the hash is that of the schema's content, the date is the day
// on which that content was first seen. A schema that exists is never written again, so that a change of a kind always
// is a new schema; the APIExport is switched to it. Superseded schemas stay, unless git has never known them: those
// were drafts. Where the content comes from is the business of the commands that use this package.
package schemafile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	apisv1alpha1 "github.com/kcp-dev/sdk/apis/apis/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Forms in which schemas are kept.
const (
	// YAML is for schemas that people read.
	YAML Form = ".yaml"
	// JSON is for schemas that are large: it is decoded ten times faster.
	JSON Form = ".json"
)

// Form is the extension of the files.
type Form string

// Folder is where the schemas of one APIExport are.
type Folder struct {
	// Path of the folder.
	Path string
	// Form of the files.
	Form Form
	// Export is the path of the APIExport's manifest.
	Export string
	// Tracked says whether a file was ever committed; TrackedByGit is the usual answer.
	Tracked func(file string) bool
}

// Update brings the schemas and the export up to date with the CustomResourceDefinitions. The name of a definition of the
// core group ends in ".core".
func (f Folder) Update(crds []*apiextensionsv1.CustomResourceDefinition, now time.Time) error {
	manifest, err := os.ReadFile(f.Export)
	if err != nil {
		return fmt.Errorf("reading the APIExport: %w", err)
	}
	for _, crd := range crds {
		name, err := f.ensure(crd, now)
		if err != nil {
			return err
		}
		if manifest, err = switchSchema(manifest, crd.Name, name); err != nil {
			return err
		}
		if err := f.dropDrafts(crd.Name, name); err != nil {
			return err
		}
	}
	if err := os.WriteFile(f.Export, manifest, 0o644); err != nil {
		return fmt.Errorf("writing the APIExport: %w", err)
	}
	return nil
}

// ensure returns the name of the schema with the content of crd, and writes it if there is none yet.
func (f Folder) ensure(crd *apiextensionsv1.CustomResourceDefinition, now time.Time) (string, error) {
	content, err := convert(crd, "draft")
	if err != nil {
		return "", err
	}
	hash, err := Hash(content["spec"])
	if err != nil {
		return "", fmt.Errorf("hashing the schema of %s: %w", crd.Name, err)
	}
	suffix := "-" + hash + "." + crd.Name
	existing, err := filepath.Glob(filepath.Join(f.Path, "v??????"+suffix+string(f.Form)))
	if err != nil {
		return "", fmt.Errorf("listing %s: %w", f.Path, err)
	}
	if len(existing) > 0 {
		slices.Sort(existing)
		base := filepath.Base(existing[0])
		return base[:len(base)-len(f.Form)], nil
	}

	name := now.UTC().Format("v060102") + suffix
	metadata := map[string]any{"name": name}
	if len(crd.Annotations) > 0 {
		metadata["annotations"] = crd.Annotations
	}
	content["metadata"] = metadata
	data, err := f.encode(content)
	if err != nil {
		return "", fmt.Errorf("encoding schema %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(f.Path, name+string(f.Form)), data, 0o644); err != nil {
		return "", fmt.Errorf("writing schema %s: %w", name, err)
	}
	return name, nil
}

func (f Folder) encode(content map[string]any) ([]byte, error) {
	if f.Form == YAML {
		return yaml.Marshal(content)
	}
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(content)
	return data.Bytes(), err
}

// convert returns the APIResourceSchema of crd without what the server fills in.
func convert(crd *apiextensionsv1.CustomResourceDefinition, prefix string) (map[string]any, error) {
	schema, err := apisv1alpha1.CRDToAPIResourceSchema(crd, prefix)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", crd.Name, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(schema)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", crd.Name, err)
	}
	content["apiVersion"], content["kind"] = apisv1alpha1.SchemeGroupVersion.String(), "APIResourceSchema"
	delete(content, "status")
	return content, nil
}

// Hash is the first half of a name's promise: equal content, equal hash. JSON orders the keys of maps.
func Hash(spec any) (string, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4]), nil
}

// switchSchema makes the export name another schema of one resource, and leaves the rest of the text alone.
func switchSchema(manifest []byte, resource, name string) ([]byte, error) {
	pattern := regexp.MustCompile(`(?m)^(\s*schema: )v[0-9]{6}-[0-9a-f]{8}\.` + regexp.QuoteMeta(resource) + `$`)
	if found := len(pattern.FindAll(manifest, -1)); found != 1 {
		return nil, fmt.Errorf("the APIExport names a schema of %s %d times instead of once: add the resource to it by hand", resource, found)
	}
	return pattern.ReplaceAll(manifest, []byte("${1}"+name)), nil
}

// dropDrafts removes superseded schemas that were never committed, and so never released.
func (f Folder) dropDrafts(resource, current string) error {
	paths, err := filepath.Glob(filepath.Join(f.Path, "v??????-????????."+resource+string(f.Form)))
	if err != nil {
		return fmt.Errorf("listing %s: %w", f.Path, err)
	}
	var errs []error
	for _, path := range paths {
		if filepath.Base(path) != current+string(f.Form) && !f.Tracked(path) {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}

// TrackedByGit says whether git knows the file. Where git cannot tell, the file counts as known and is kept.
func TrackedByGit(file string) bool {
	err := exec.Command("git", "ls-files", "--error-unmatch", "--", file).Run()
	var exit *exec.ExitError
	return !errors.As(err, &exit) || exit.ExitCode() != 1
}
