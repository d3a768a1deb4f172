//go:build linux || freebsd || openbsd || netbsd

package input

import "github.com/jezek/xgb/xproto"

// Keysyms by name, from X11's keysymdef.h.
const (
	symSpace       = 0x20
	symReturn      = 0xff0d
	symTab         = 0xff09
	symCapsLock    = 0xffe5
	symLevel3Shift = 0xfe03
	symUnicode     = 0x01000000
)

// symOf is the keysym that stands for r without a legacy table: Latin-1 as it
// is, everything else as Unicode.
func symOf(r rune) xproto.Keysym {
	switch {
	case r == '\n':
		return symReturn
	case r == '\t':
		return symTab
	case r >= 0x20 && r < 0x7f, r >= 0xa0 && r <= 0xff:
		return xproto.Keysym(r)
	}
	return symUnicode | xproto.Keysym(r)
}

// runeOf is the character that a layout's keysym writes, or 0. Dead keys,
// keypad and function keys write none.
func runeOf(s xproto.Keysym) rune {
	switch {
	case s >= 0x20 && s < 0x7f, s >= 0xa0 && s <= 0xff:
		return rune(s)
	case s == symReturn:
		return '\n'
	case s == symTab:
		return '\t'
	case s >= symUnicode+0x100 && s <= symUnicode+0x10ffff:
		return rune(s - symUnicode)
	}
	low := byte(s)
	switch s >> 8 {
	case 1:
		return high(latin2, low)
	case 2:
		return high(latin3, low)
	case 3:
		return high(latin4, low)
	case 5:
		if low > 0xa0 {
			return 0x560 + rune(low)
		}
	case 6:
		if low >= 0xc0 {
			return high(koi8r, low)
		}
		if i := int(low) - 0xa1; i >= 0 && i < len(cyrillic) {
			return cyrillic[i]
		}
	case 7:
		if i := int(low) - 0xa1; i >= 0 && i < len(greek) {
			return greek[i]
		}
	case 0xc:
		if low >= 0xe0 && low <= 0xfa {
			return 0x5d0 + rune(low-0xe0)
		}
	case 0xd:
		if low >= 0xa1 && low <= 0xf9 {
			return 0xe00 + rune(low-0xa0)
		}
	case 0xa, 0x13, 0x20:
		return publishing[s]
	}
	return 0
}

// high is the character of a byte from 0xa0 in one of the tables.
func high(table []rune, b byte) rune {
	if b < 0xa0 {
		return 0
	}
	return table[b-0xa0]
}

// The upper halves of the encodings that the legacy keysyms follow, from 0xa0;
// 0 where there is none. A test compares them with golang.org/x/text.
var (
	latin2 = []rune("\u00a0Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u00adŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙")
	latin3 = []rune("\u00a0Ħ˘£¤\x00Ĥ§¨İŞĞĴ\u00ad\x00Ż°ħ²³´µĥ·¸ışğĵ½\x00żÀÁÂ\x00ÄĊĈÇÈÉÊËÌÍÎÏ\x00ÑÒÓÔĠÖ×ĜÙÚÛÜŬŜßàáâ\x00äċĉçèéêëìíîï\x00ñòóôġö÷ĝùúûüŭŝ˙")
	latin4 = []rune("\u00a0ĄĸŖ¤ĨĻ§¨ŠĒĢŦ\u00adŽ¯°ą˛ŗ´ĩļˇ¸šēģŧŊžŋĀÁÂÃÄÅÆĮČÉĘËĖÍÎĪĐŅŌĶÔÕÖ×ØŲÚÛÜŨŪßāáâãäåæįčéęëėíîīđņōķôõö÷øųúûüũū˙")
	koi8r  = []rune("═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ")
)

// From 0x6a1, 0 where there is none.
var cyrillic = []rune("ђѓёєѕіїјљњћќґўџ№ЂЃЁЄЅІЇЈЉЊЋЌҐЎЏ")

// From 0x7a1.
var greek = []rune("ΆΈΉΊΪ\x00ΌΎΫ\x00Ώ\x00\x00΅―\x00άέήίϊΐόύϋΰώ\x00\x00\x00\x00\x00" +
	"ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣ\x00ΤΥΦΧΨΩ\x00\x00\x00\x00\x00\x00\x00αβγδεζηθικλμνξοπρσςτυφχψω")

var publishing = map[xproto.Keysym]rune{
	0xaa9: '—', 0xaaa: '–', 0xaae: '…', 0xac9: '™', 0xad0: '‘', 0xad1: '’', 0xad2: '“', 0xad3: '”',
	0xafd: '‚', 0xafe: '„', 0xae6: '•', 0xaf1: '†', 0xaf2: '‡', 0xad5: '‰', 0xac3: '⅛', 0xac4: '⅜', 0xac5: '⅝', 0xac6: '⅞',
	0x13bc: 'Œ', 0x13bd: 'œ', 0x13be: 'Ÿ', 0x20ac: '€',
}

// A dead key and what it makes of the letters: pairs of result and letter.
// These sequences are in every locale's Compose file and in GTK's own table.
var dead = []struct {
	sym   xproto.Keysym
	pairs string
}{
	{0xfe50, "ÀAÈEÌIÒOÙUàaèeìiòoùuǸNǹnẀWẁwỲYỳy` "},
	{0xfe51, "ÁAÉEÍIÓOÚUÝYáaéeíióoúuýyĆCćcŃNńnŚSśsŹZźzŔRŕrĹLĺlẂWẃw' "},
	{0xfe52, "ÂAÊEÎIÔOÛUâaêeîiôoûuĈCĉcĜGĝgĤHĥhĴJĵjŜSŝsŴWŵwŶYŷy^ "},
	{0xfe53, "ÃAÑNÕOãañnõoĨIĩiŨUũu~ "},
	{0xfe54, "ĀAāaĒEēeĪIīiŌOōoŪUūu¯ "},
	{0xfe55, "ĂAăaĞGğgŬUŭuĔEĕe˘ "},
	{0xfe56, "ŻZżzĊCċcĠGġgĖEėeİI˙ "},
	{0xfe57, "ÄAËEÏIÖOÜUäaëeïiöoüuÿyŸY\" "},
	{0xfe58, "ÅAåaŮUůu° "},
	{0xfe59, "ŐOőoŰUűu˝ "},
	{0xfe5a, "ČCčcĎDďdĚEěeŇNňnŘRřrŠSšsŤTťtŽZžzˇ "},
	{0xfe5b, "ÇCçcŞSşsŢTţt¸ "},
	{0xfe5c, "ĄAąaĘEęeĮIįiŲUųu˛ "},
}

type deadPair struct {
	sym  xproto.Keysym
	base rune
}

// composed says how a dead key writes a character.
var composed = func() map[rune]deadPair {
	m := map[rune]deadPair{}
	for _, d := range dead {
		p := []rune(d.pairs)
		for i := 0; i+1 < len(p); i += 2 {
			m[p[i]] = deadPair{d.sym, p[i+1]}
		}
	}
	return m
}()
