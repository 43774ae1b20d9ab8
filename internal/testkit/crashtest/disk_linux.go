package crashtest

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Disk is what a disk has of the files below a folder, while a process changes them: what was synced, and what was not
// and may be lost when the power fails.
//
// It takes POSIX at its word and promises nothing more. A file's content is safe when the file was synced, and its name when
// the folder was; whatever else was done since is there or not, each sector and each name for itself, in any combination.
type Disk struct {
	// Lies says that a sync of that path does nothing, as on a disk that says it has written what it has not.
	Lies func(path string) bool

	root  string
	now   map[string]*node // by path, as the process sees it
	safe  map[string]*node
	names []naming // since their folders were synced
}

// node is a file or a folder.
type node struct {
	isFolder bool
	safe     []byte
	unsynced []Call // of a file: Write and Truncate
}

// naming is a change of the names in a folder: nodes appear under their names, nil ones disappear, together or not at all.
type naming map[string]*node

// NewDisk is a disk with a folder that is empty, and safe.
func NewDisk(root string) *Disk {
	return &Disk{
		Lies: func(string) bool { return false },
		root: root, now: map[string]*node{}, safe: map[string]*node{},
	}
}

// Apply lets a call happen. One on a file that has no name any more leaves nothing behind, and is forgotten.
func (d *Disk) Apply(c Call) {
	switch c.Op {
	case Create:
		d.name(naming{c.Path: {}})
	case MakeDir:
		d.name(naming{c.Path: {isFolder: true}})
	case Remove:
		d.name(naming{c.Path: nil})
	case Rename:
		if moved := d.now[c.Path]; moved != nil {
			d.name(naming{c.Path: nil, c.To: moved})
		}
	case Link:
		if linked := d.now[c.Path]; linked != nil {
			d.name(naming{c.To: linked})
		}
	case Write, Truncate:
		if file := d.now[c.Path]; file != nil {
			file.unsynced = append(file.unsynced, c)
		}
	case Sync:
		if !d.Lies(c.Path) {
			d.sync(c.Path)
		}
	case Report: // nothing to a disk
	}
}

// FailSync is a sync of a file that has failed: what was written before it may never be on the disk, and no later sync
// says so. The process goes on to see it; a Disk does not tell that, and what Files gives is wrong from then on.
func (d *Disk) FailSync(path string) {
	if file := d.now[path]; file != nil {
		file.unsynced = nil
	}
}

func (d *Disk) name(change naming) {
	update(d.now, change)
	d.names = append(d.names, change)
}

func update(names map[string]*node, change naming) {
	maps.Copy(names, change)
	maps.DeleteFunc(names, func(_ string, n *node) bool { return n == nil })
}

func (d *Disk) sync(path string) {
	if file := d.now[path]; file != nil && !file.isFolder {
		file.safe = always.replay(file.safe, file.unsynced)
		file.unsynced = nil
		return
	}
	d.names = slices.DeleteFunc(d.names, func(change naming) bool {
		for name := range change {
			if filepath.Dir(name) != path {
				return false
			}
		}
		update(d.safe, change)
		return true
	})
}

// Files are those that the process sees, by path, with their contents.
func (d *Disk) Files() map[string][]byte { return contents(d.root, d.now, always) }

// Crash draws what is left when the power fails now. Seed 0 leaves what is safe and nothing else, seed 1 leaves all.
func (d *Disk) Crash(seed uint64) map[string][]byte {
	luck := newLuck(seed)
	left := maps.Clone(d.safe)
	for _, change := range d.names {
		if luck.keeps() {
			update(left, change)
		}
	}
	return contents(d.root, left, luck)
}

// contents leaves out files whose folder is gone. Of a folder, it returns the path alone.
func contents(root string, names map[string]*node, luck luck) map[string][]byte {
	files := map[string][]byte{}
	for _, path := range slices.Sorted(maps.Keys(names)) { // folders come before what is in them
		_, hasFolder := files[filepath.Dir(path)+string(filepath.Separator)]
		switch {
		case filepath.Dir(path) != root && !hasFolder:
		case names[path].isFolder:
			files[path+string(filepath.Separator)] = nil
		default:
			files[path] = luck.replay(slices.Clone(names[path].safe), names[path].unsynced)
		}
	}
	return files
}

// replay returns the content with what luck keeps of the calls. It may reuse the content.
func (l luck) replay(content []byte, calls []Call) []byte {
	for _, c := range calls {
		switch {
		case c.Op == Truncate && l.keeps():
			content = resized(content, int(c.At))
		case c.Op == Write:
			content = l.written(content, int(c.At), c.Data)
		}
	}
	return content
}

func resized(content []byte, size int) []byte {
	if size <= len(content) {
		return content[:size]
	}
	return append(content, make([]byte, size-len(content))...)
}

// sector is what a disk writes as a whole, in bytes.
const sector = 512

// luck says what is kept of that which was not synced.
type luck struct {
	random *rand.Rand
	chance float64 // of a sector, or a name, to be kept
	whole  bool    // writes are kept or lost as wholes
}

// always keeps everything.
var always = luck{chance: 1, whole: true}

func newLuck(seed uint64) luck {
	random := rand.New(rand.NewPCG(seed, 0))
	switch seed {
	case 0:
		return luck{random: random, whole: true}
	case 1:
		return always
	default:
		return luck{random: random, chance: random.Float64(), whole: seed%4 == 2}
	}
}

func (l luck) keeps() bool { return l.chance == 1 || l.random.Float64() < l.chance }

// written is the content with those sectors of a write that were kept. Where the file has grown over sectors that were
// lost, there is what happened to be on the disk.
func (l luck) written(content []byte, at int, data []byte) []byte {
	if l.whole {
		if l.keeps() {
			content = resized(content, max(len(content), at+len(data)))
			copy(content[at:], data)
		}
		return content
	}
	for from := 0; from < len(data); {
		to := min(len(data), from+sector-(at+from)%sector)
		if l.keeps() {
			if old := len(content); old < at+to {
				content = l.litter(resized(content, at+to), old)
			}
			copy(content[at+from:], data[from:to])
		}
		from = to
	}
	return content
}

// litter puts something random at the end of the content, or leaves it zero.
func (l luck) litter(content []byte, from int) []byte {
	if l.random.IntN(2) == 0 {
		return content
	}
	for i := from; i < len(content); i++ {
		content[i] = byte(l.random.Uint32())
	}
	return content
}

// Restore puts files as Files and Crash give them below another folder, which is there and empty.
func (d *Disk) Restore(files map[string][]byte, folder string) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		name, isFolder := strings.CutSuffix(folder+strings.TrimPrefix(path, d.root), string(filepath.Separator))
		var err error
		if isFolder {
			err = os.Mkdir(name, 0o700)
		} else {
			err = os.WriteFile(name, files[path], 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
