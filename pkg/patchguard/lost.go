// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package patchguard

import "fmt"

// comparison finds what a merged list has and the new one lacks.
type comparison struct {
	*merger
	lost bool
}

func (c *comparison) lose(path string) {
	c.lost = true
	if len(c.merger.lost) < maxLost {
		c.merger.lost = append(c.merger.lost, path)
	}
}

func (c *comparison) list(path, key string, merged, after []any, l lookup) {
	if key == "" {
		c.scalars(path, merged, after)
		return
	}
	now := byKey(after, key)
	twins := hasTwins(merged, key) || hasTwins(after, key)
	for _, item := range merged {
		fields, isMap := item.(map[string]any)
		if !isMap {
			continue
		}
		name := fmt.Sprintf("%s[%s]", path, keyText(fields[key]))
		if same := match(now[keyText(fields[key])], fields, twins); same != nil {
			c.object(name, fields, same, l)
		} else {
			c.lose(name)
		}
	}
}

// match finds an item among those of its key. Ports may share a number; then the protocol tells them apart.
func match(same []map[string]any, fields map[string]any, twins bool) map[string]any {
	for _, candidate := range same {
		if !twins || candidate["protocol"] == fields["protocol"] {
			return candidate
		}
	}
	return nil
}

func (c *comparison) scalars(path string, merged, after []any) {
	now := map[any]bool{}
	for _, item := range after {
		if isScalar(item) {
			now[item] = true
		}
	}
	for _, item := range merged {
		if isScalar(item) && !now[item] {
			c.lose(fmt.Sprintf("%s[%v]", path, item))
		}
	}
}

func isScalar(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

func (c *comparison) object(path string, merged, after map[string]any, l lookup) {
	for field, value := range merged {
		now, found := after[field]
		if !found {
			c.lose(path + "." + field)
			continue
		}
		switch value := value.(type) {
		case map[string]any:
			if inner, isMap := now.(map[string]any); isMap {
				c.object(path+"."+field, value, inner, l.inside(field))
			}
		case []any:
			items, key, isMerged := l.list(field)
			if inner, isList := now.([]any); isList && isMerged {
				c.list(path+"."+field, key, value, inner, items)
			}
		}
	}
}
