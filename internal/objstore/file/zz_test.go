package file
import ("testing";"context";"unsafe";"golang.org/x/sys/unix")
func BenchmarkZZ(b *testing.B) {
	const objects = 100_000
	dir := b.TempDir()
	flat(b, dir, objects)
	bucket := openDir(b, dir, Options{})
	bucket.sort=sortLimits{names: 1 << 20, bytes: 64 << 20, fanIn: 64, buffer: 16 << 10}
	meas := func(name string, f func(b *testing.B)) { b.Run(name, func(b *testing.B){ b.ReportAllocs(); start:=cpuTime(); for b.Loop(){ f(b) }
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N)/objects, "cpu-ns/object")})}
	buf := make([]byte, 64<<10)
	for range 3 {
	meas("list", func(b *testing.B){ if count(b,bucket)!=objects {b.Fatal()}})
	meas("names", func(b *testing.B){ d,_ := bucket.root.open("."); var n names; d.readNames(context.Background(), buf, func(name []byte,k kind) error { n.add(name,k); return nil}); d.close()})
	meas("names+sort", func(b *testing.B){ d,_ := bucket.root.open("."); var n names; d.readNames(context.Background(), buf, func(name []byte,k kind) error { n.add(name,k); return nil}); n.sort(); d.close()})
	meas("bare", func(b *testing.B){ d,_ := bucket.root.open("."); var arena []byte; var offs []int; d.readNames(context.Background(), buf, func(name []byte,k kind) error { offs=append(offs,len(arena)); arena=append(arena,name...); arena=append(arena,0); return nil})
		var st unix.Stat_t
		for _,o := range offs { _,_,e := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(d.fd), uintptr(unsafe.Pointer(&arena[o])), uintptr(unsafe.Pointer(&st)), unix.AT_SYMLINK_NOFOLLOW,0,0); if e!=0 {b.Fatal(e)} }
		d.close()})
	meas("fstatat", func(b *testing.B){ d,_ := bucket.root.open("."); var arena []byte; var offs []int; d.readNames(context.Background(), buf, func(name []byte,k kind) error { offs=append(offs,len(arena)); arena=append(arena,name...); return nil})
		offs=append(offs,len(arena)); s:=string(arena)
		for i := range objects { if _,e := d.lstat(s[offs[i]:offs[i+1]]); e!=nil {b.Fatal(e)} }
		d.close()})
	}
}
