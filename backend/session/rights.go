package session

import "daypass/backend/grant"

// ParseNames reads what Names writes, in any order. It reports false for a word
// that is no right's.
func ParseNames(list []string) (grant.Rights, bool) {
	var out grant.Rights
	for _, w := range list {
		i := 0
		for i < len(names) && names[i].name != w {
			i++
		}
		if i == len(names) {
			return 0, false
		}
		out |= names[i].r
	}
	return out, true
}
