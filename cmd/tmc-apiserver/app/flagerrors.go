// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kcp-dev/tmc/cmd/tmc-apiserver/app/options"
)

// everyProblem tells of everything that is wrong with a command line, given the first error of its flags. It parses
// again without each argument that cannot be understood, every time into new options: what was parsed before is not
// counted twice, and a value that could not be read leaves the default.
func everyProblem(known *pflag.FlagSet, args []string, first error) error {
	errs := []error{first}
	for {
		o := options.New()
		err := flagSet(o, known).Parse(args)
		if err != nil && !slices.ContainsFunc(errs, func(told error) bool { return told.Error() == err.Error() }) {
			errs = append(errs, err)
		}
		shorter, found := without(args, err)
		if !found {
			return errors.Join(append(errs, o.Complete().Validate())...)
		}
		args = shorter
	}
}

// flagSet returns flags that fill the options, and those flags of known that fill none.
func flagSet(o *options.Options, known *pflag.FlagSet) *pflag.FlagSet {
	fs := pflag.NewFlagSet(known.Name(), pflag.ContinueOnError)
	fs.SetNormalizeFunc(known.GetNormalizeFunc())
	groups := o.Flags()
	for _, name := range groups.Order {
		fs.AddFlagSet(groups.FlagSet(name))
	}
	fs.AddFlagSet(known) // a name that is there already stays as it is
	return fs
}

// without returns the arguments without the one that caused a parse error, and false if it cannot be told.
func without(args []string, err error) ([]string, bool) {
	name := offender(err)
	at := slices.IndexFunc(args, func(arg string) bool {
		given, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return strings.HasPrefix(arg, "-") && strings.ReplaceAll(given, "_", "-") == name
	})
	separator := slices.Index(args, "--")
	if name == "" || at < 0 || separator >= 0 && at > separator {
		return nil, false
	}
	return slices.Delete(slices.Clone(args), at, at+1), true
}

// offender returns the name of the flag that a parse error is about.
func offender(err error) string {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return unknown.GetSpecifiedName()
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return invalid.GetFlag().Name
	}
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		return missing.GetSpecifiedName()
	}
	return ""
}
