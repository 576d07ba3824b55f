// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const ellipsis = "..."

// PrintableMessage makes the text of a member safe to show: what is not printable is escaped as in Go source, so that it
// neither moves a cursor nor turns the direction of writing, and the result has at most limit characters, the last three
// being dots if something was cut off.
func PrintableMessage(s string, limit int) string {
	var out strings.Builder
	count, cut := 0, 0 // cut is where the dots go if more follows
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		piece := s[:size]
		switch {
		case r == utf8.RuneError && size == 1:
			piece = `\x` + strconv.FormatUint(uint64(s[0]), 16)
		case !strconv.IsPrint(r):
			quoted := strconv.QuoteRuneToASCII(r)
			piece = quoted[1 : len(quoted)-1]
		}
		length := utf8.RuneCountInString(piece)
		if count+length > limit {
			return out.String()[:cut] + ellipsis[:max(0, min(len(ellipsis), limit))]
		}
		out.WriteString(piece)
		count += length
		if count <= limit-len(ellipsis) {
			cut = out.Len()
		}
		s = s[size:]
	}
	return out.String()
}
