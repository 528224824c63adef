package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// An upload is a directory Reserved/upload/<id>:
//
//	about            what CreateMultipart was told, and the key
//	s<size>          the parts of that size: part n at (n-1)*size
//	c<n>             somebody writes, or wrote, part n into its s file
//	r<n>-<serial>    a part that could not go there
//	p<n>.…           part n is stored (recordName)
//	closed           a completion has begun: nobody writes to s files any more
//	t<serial>        the s file that a completion makes the object of
//
// Parts that are cut alike so land in one file at their final place, in
// whatever order they arrive, and completion renames that file. Only the last,
// shorter part is copied, within the file system, as is a part that was stored
// twice. Should a writer be at large whose part never arrived (a process that
// was killed, or is stopped), all parts are copied to a new file: a stray write
// then hits a file that nobody reads. Nothing stored is ever overwritten.
//
// Uploads survive the process. With NoSync they do not survive a boot of the
// system, whose memory may have held the bytes.

// maxSlot bounds where s files end; no common file system ends earlier.
const maxSlot = 1 << 43

const (
	aboutName  = "about"
	closedName = "closed"
)

// upload is an open upload.
type upload struct {
	dir
	attrs attrs
}

// openUpload opens the upload id of key, ErrNotFound when there is none.
func (b *Bucket) openUpload(ctx context.Context, op, key, id string) (upload, error) {
	if err := ctx.Err(); err != nil {
		return upload{}, err
	}
	if checkKey(id) != "" {
		return upload{}, b.noUpload(op, key)
	}
	at, err := b.root.walk(Reserved + "/" + uploadDir + "/" + id)
	if err != nil {
		if isAbsent(err) {
			return upload{}, b.noUpload(op, key)
		}
		return upload{}, translate(op, key, err)
	}
	u := upload{dir: at}
	u.attrs, err = u.about()
	switch {
	case err == nil && u.attrs.key == key && (u.attrs.boot == "" || u.attrs.boot == bootID()):
		return u, nil
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errAttrs):
		err = b.noUpload(op, key)
	}
	u.close()
	return upload{}, translate(op, key, err)
}

func (u upload) about() (attrs, error) {
	f, err := u.file(aboutName, os.O_RDONLY)
	if err != nil {
		return attrs{}, err
	}
	defer func() { _ = f.Close() }()
	p, err := io.ReadAll(f)
	if err != nil {
		return attrs{}, err
	}
	return parseAttrs(p)
}

func (b *Bucket) noUpload(op, key string) error {
	if err := b.alive(op); err != nil {
		return err
	}
	return &objstore.Error{Kind: objstore.ErrNotFound, Op: op, Key: key, Message: "there is no such upload"}
}

// uploadError translates an error in an upload, whose files vanish when another
// has aborted or completed it.
func (b *Bucket) uploadError(op, key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) && !isTranslated(err) {
		return b.noUpload(op, key)
	}
	return b.writeError(op, key, err)
}

// fill writes the bytes of a part to the place it finds for them.
func (u upload) fill(p *storedPart, write func(*os.File) (objstore.Checksum, error), flush bool) (err error) {
	if err := u.claim(p); err != nil {
		return err
	}
	defer func() {
		// Whoever failed writes no more: the place is free again.
		if err == nil {
			return
		}
		if p.shared {
			_ = u.remove(p.claimName())
		} else {
			_ = u.remove(p.fileName())
		}
	}()
	flag := os.O_RDWR | os.O_CREATE
	if !p.shared {
		flag |= os.O_EXCL
	}
	f, err := u.file(p.fileName(), flag)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(p.offset(), io.SeekStart); err != nil {
		return err
	}
	if p.CRC64, err = write(f); err != nil || !flush {
		return err
	}
	return f.Sync()
}

// claim finds out whether p may go to its place in the s file. Claiming before
// looking for closedName pairs with CompleteMultipart, which closes before it
// looks for claims: one of the two sees the other.
func (u upload) claim(p *storedPart) error {
	if p.Size == 0 || p.Size > maxSlot/int64(p.Number) {
		return nil
	}
	err := u.touch(p.claimName())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := u.lstat(closedName); err == nil {
		return u.remove(p.claimName())
	}
	p.shared = true
	return nil
}

// touch makes an empty file, fs.ErrExist when there is one.
func (u upload) touch(name string) error {
	f, err := u.file(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	return f.Close()
}

// removeUpload takes the upload away in one step, then its files.
func (b *Bucket) removeUpload(id string) error {
	at, err := b.root.walk(Reserved + "/" + uploadDir)
	if err != nil {
		return err
	}
	defer at.close()
	tmp, err := b.temps(false)
	if err != nil {
		return err
	}
	if err := at.rename(id, tmp, id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp.removeAll(id)
	return nil
}
