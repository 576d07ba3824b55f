// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// after returns what follows the argument that caused a parse error, and nothing if that cannot be told.
func after(args []string, err error) []string {
	name := offender(err)
	if name == "" {
		return nil
	}
	for i, arg := range args {
		if arg == "--" {
			return nil
		}
		given, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && strings.ReplaceAll(given, "_", "-") == name {
			return args[i+1:]
		}
	}
	return nil
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
	return ""
}
