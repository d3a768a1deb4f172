package screen

// WithoutDuplication leaves s with the floor, which reads by GDI.
func WithoutDuplication(s Source) { s.(*winSource).floor = true }

// ReadBy reads a display by GDI alone, once and whole, and is what a benchmark
// calls: area reads r of it again.
func ReadBy(d Display) (area func(f *Frame, r [4]int) error, end func(), err error) {
	g, err := newGDI(d.Bounds)
	if err != nil {
		return nil, nil, err
	}
	return func(f *Frame, r [4]int) error {
		_, err := g.read(f, rect32{int32(r[0]), int32(r[1]), int32(r[2]), int32(r[3])}.image())
		return err
	}, g.close, nil
}
