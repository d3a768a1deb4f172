package wire

import (
	"reflect"
	"testing"

	"daypass/backend/grant"
)

func TestRightsTravelWithTheirLimits(t *testing.T) {
	for _, m := range []Control{
		&AskRight{Rights: grant.Control},
		&RightsNow{Rights: grant.View | grant.Files, Offered: grant.All, Leases: []Lease{{Right: grant.Files, LeftMS: 60_000, Scope: "/home/anna/Downloads"}}},
		&RightsNow{Rights: 0},
	} {
		b, err := AppendControl(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseControl(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for _, bad := range []Control{
		&AskRight{}, &AskRight{Rights: 1 << 20},
		&RightsNow{Rights: grant.View, Leases: []Lease{{Right: grant.Control}}},
		&RightsNow{Rights: grant.View, Leases: []Lease{{Right: grant.View}, {Right: grant.View}}},
		&RightsNow{Rights: grant.View, Leases: []Lease{{Right: grant.View, Scope: "/x"}}},
		&RightsNow{Rights: grant.View, Leases: []Lease{{Right: grant.View, LeftMS: -1}}},
		&RightsNow{Rights: grant.View | grant.Control, Leases: []Lease{{Right: grant.View | grant.Control}}},
	} {
		if _, err := AppendControl(nil, bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
