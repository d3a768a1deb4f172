package cpace

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/cloudflare/circl/group"
	"github.com/gtank/ristretto255"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func scalar(t testing.TB, s string) *ristretto255.Scalar {
	t.Helper()
	v, err := ristretto255.NewScalar().SetCanonicalBytes(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Vectors of draft-irtf-cfrg-cpace-21, appendix B.3 (G_Ristretto255, SHA-512).
func TestVectorsOfDraft21(t *testing.T) {
	prs, ci, sid := unhex(t, "50617373776F7264"), unhex(t, "0B415F696E69746961746F720B425F726573706F6E646572"), unhex(t, "7E4B4791D6A8EF019B936C79FB7F2C57")
	g, err := generator(prs, ci, sid)
	if err != nil || !bytes.Equal(g.Bytes(), unhex(t, "222B6B195FE84B1652BADB6F6A3AE3D24341E7306967F0B8115B40D5698C7E56")) {
		t.Fatalf("generator %x, %v", g.Bytes(), err)
	}
	a, err := start(prs, ci, sid, []byte("ADa"), true, scalar(t, "DA3D23700A9E5699258AEF94DC060DFDA5EBB61F02A5EA77FAD53F4FF0976D08"))
	if err != nil || !bytes.Equal(a.Share(), unhex(t, "D6BAC480F2C386C394EFC7C47ADB9925DCD2630B64F240C50F8D0EEC482B9157")) {
		t.Fatalf("Ya %x, %v", a.Share(), err)
	}
	b, err := start(prs, ci, sid, []byte("ADb"), false, scalar(t, "D2316B454718C35362D83D69DF6320F38578ED5984651435E2949762D900B80D"))
	if err != nil || !bytes.Equal(b.Share(), unhex(t, "3EA7E0B19560D7C0B0F5734F63B955286DFA8232B5EBE63324E2D9E7433F7258")) {
		t.Fatalf("Yb %x, %v", b.Share(), err)
	}
	ya, yb := a.Share(), b.Share()
	want := unhex(t, "B69EFFBF61B51D56401C0F65601ABE428DE8206FEAAF0E32198896DCAE7B35CD2B38950A39DFD5D4A79164614C2984F7DAA460B588C1E80C3FA2068AF7900447")
	if k, err := a.Finish(yb, []byte("ADb")); err != nil || !bytes.Equal(k, want) {
		t.Errorf("A's key %x, %v", k, err)
	}
	if k, err := b.Finish(ya, []byte("ADa")); err != nil || !bytes.Equal(k, want) {
		t.Errorf("B's key %x, %v", k, err)
	}
}

// The invalid points of the draft's appendix, the identity, wrong sizes, our own share, a state used twice.
func TestRefusesInvalidShares(t *testing.T) {
	for _, bad := range []string{
		"2B3C6B8C4F3800E7AEF6864025B4ED79BD599117E427C41BD47D93D654B4A51C",
		"0000000000000000000000000000000000000000000000000000000000000000", "", "00",
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
	} {
		a, err := Start([]byte("p"), nil, nil, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Finish(unhex(t, bad), nil); !errors.Is(err, ErrPeer) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := a.Finish(unhex(t, bad), nil); !errors.Is(err, ErrUsed) {
			t.Errorf("used twice: %v", err)
		}
	}
	a, err := Start([]byte("p"), nil, nil, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Finish(a.Share(), nil); !errors.Is(err, ErrPeer) {
		t.Errorf("reflection: %v", err)
	}
}

func TestOtherPasswordChannelOrSessionGivesAnotherKey(t *testing.T) {
	base := [3]string{"prs", "ci", "sid"}
	for i := -1; i < 3; i++ {
		other := base
		if i >= 0 {
			other[i] += "x"
		}
		a, _ := Start([]byte(base[0]), []byte(base[1]), []byte(base[2]), nil, true)
		b, _ := Start([]byte(other[0]), []byte(other[1]), []byte(other[2]), nil, false)
		ka, err := a.Finish(b.Share(), nil)
		if err != nil {
			t.Fatal(err)
		}
		kb, err := b.Finish(a.Share(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(ka, kb) != (i < 0) {
			t.Errorf("input %d changed: keys equal = %v", i, bytes.Equal(ka, kb))
		}
	}
}

// The same scalar and element products by another implementation of the group.
func TestAgreesWithCirclsGroup(t *testing.T) {
	g := group.Ristretto255
	for range 200 {
		var r [64]byte
		rand.Read(r[:])
		y, err := ristretto255.NewScalar().SetUniformBytes(r[:])
		if err != nil {
			t.Fatal(err)
		}
		gen, err := generator(r[:16], r[16:32], r[32:48])
		if err != nil {
			t.Fatal(err)
		}
		s, err := start(r[:16], r[16:32], r[32:48], nil, true, y)
		if err != nil {
			t.Fatal(err)
		}
		e, k := g.NewElement(), g.NewScalar()
		if err := e.UnmarshalBinary(gen.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := k.UnmarshalBinary(y.Bytes()); err != nil {
			t.Fatal(err)
		}
		want, err := g.NewElement().Mul(e, k).MarshalBinaryCompress()
		if err != nil || !bytes.Equal(want, s.Share()) {
			t.Fatalf("share %x, circl %x, %v", s.Share(), want, err)
		}
	}
}

func FuzzFinish(f *testing.F) {
	f.Add(unhex(f, "2C3C6B8C4F3800E7AEF6864025B4ED79BD599117E427C41BD47D93D654B4A51C"), []byte("ad"))
	f.Fuzz(func(t *testing.T, y, ad []byte) {
		s, err := Start([]byte("p"), nil, nil, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		k, err := s.Finish(y, ad)
		if ok := group.Ristretto255.NewElement().UnmarshalBinary(y) == nil && len(y) == ShareSize; err == nil && (!ok || len(k) != KeySize) {
			t.Fatalf("accepted %x", y)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		x, _ := Start([]byte("pw"), []byte("ci"), []byte("sid"), nil, true)
		y, _ := Start([]byte("pw"), []byte("ci"), []byte("sid"), nil, false)
		if _, err := x.Finish(y.Share(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
