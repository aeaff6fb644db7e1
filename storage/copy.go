package storage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// ErrNotEmpty: a database that should be copied into has rows.
var ErrNotEmpty = errors.New("the database that is copied into is not empty")

// Copied is what CopyTo did with one table.
type Copied struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	// Hash is of all rows in any order: the same on both sides.
	Hash string `json:"sha256"`
}

// copyBatch is how many rows go in one statement.
const copyBatch = 100

// copyTime is what a copy may take: on both sides it is one transaction.
const copyTime = 24 * time.Hour

// copyTable is a table that both databases have.
type copyTable struct {
	name    string
	columns []string
	kinds   []string // of PostgreSQL
	rows    int64
}

// CopyTo copies every table into an empty database of the other engine: one snapshot of the source in one transaction
// of the target, which commits only if what it reads back has the same number of rows and the same hash, table by
// table. ErrNotEmpty if the target has rows; its schema is made if it has none. progress may be nil.
func (s *Store) CopyTo(ctx context.Context, to *Store, progress func(table string, done, of int64)) ([]Copied, error) {
	if s.engine == to.engine {
		return nil, fmt.Errorf("both databases are %s: use its own tools to copy one", s.engine)
	}
	if pending, err := s.Pending(ctx); err != nil || pending {
		return nil, fault("copy", cmp.Or(err, errors.New("the database that is copied lacks migrations: run `sallyport migrate up` on it first")))
	}
	if err := to.Migrate(ctx); err != nil {
		return nil, err
	}
	ctx, done := limit(WithLongCalls(ctx, copyTime), false)
	defer done()
	from, err := s.reader.BeginTxx(ctx, s.engine.snapshot())
	if err != nil {
		return nil, fault("copy", err)
	}
	defer func() { _ = from.Rollback() }() // it only read
	into, err := to.writer.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fault("copy", err)
	}
	defer func() { _ = into.Rollback() }() // after a commit it does nothing
	tables, err := copyTables(ctx, s.engine, from, into)
	if err != nil {
		return nil, fault("copy", err)
	}
	if err := makeEmpty(ctx, into, tables); err != nil {
		return nil, err
	}
	var all []Copied
	for _, t := range tables {
		if progress == nil {
			progress = func(string, int64, int64) {}
		}
		done, err := t.copy(ctx, from, into, progress)
		if err != nil {
			return nil, fault("copy "+t.name, err)
		}
		all = append(all, done)
	}
	return all, fault("copy", into.Commit())
}

// makeEmpty refuses a target that has rows, and takes away what its schema came with.
func makeEmpty(ctx context.Context, into *sqlx.Tx, tables []copyTable) error {
	for _, t := range tables {
		if t.name == "versions" { // its rows are the schema's own
			if _, err := into.ExecContext(ctx, `DELETE FROM versions`); err != nil {
				return fault("copy", err)
			}
			continue
		}
		var some bool
		if err := into.GetContext(ctx, &some, `SELECT EXISTS (SELECT 1 FROM `+t.name+`)`); err != nil {
			return fault("copy", err)
		}
		if some {
			return fmt.Errorf("%w: the table %s has rows; make a new database and copy into that", ErrNotEmpty, t.name)
		}
	}
	return nil
}

// copyTables lists all tables but that of migrations, each after those that it refers to. One of the two databases is
// SQLite, which tells the references, and one PostgreSQL, which tells the types.
func copyTables(ctx context.Context, source Engine, from, into *sqlx.Tx) ([]copyTable, error) {
	lite, pg := from, into
	if source == Postgres {
		lite, pg = into, from
	}
	var names []string
	err := lite.SelectContext(ctx, &names, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> 'goose_db_version' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	var others []string
	err = pg.SelectContext(ctx, &others, `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name <> 'goose_db_version'`)
	if err != nil {
		return nil, err
	}
	slices.Sort(others)
	if !slices.Equal(names, others) {
		return nil, fmt.Errorf("the databases have different tables: %v and %v", names, others)
	}
	var sorted []copyTable
	var visit func(name string) error
	visit = func(name string) error {
		if slices.ContainsFunc(sorted, func(t copyTable) bool { return t.name == name }) {
			return nil
		}
		var parents []string
		if err := lite.SelectContext(ctx, &parents, `SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)`, name); err != nil {
			return err
		}
		for _, parent := range parents {
			if parent == name {
				return fmt.Errorf("%s refers to itself, which copying does not know how to order", name)
			}
			if err := visit(parent); err != nil {
				return err
			}
		}
		t, err := describe(ctx, name, lite, pg)
		if err != nil {
			return err
		}
		sorted = append(sorted, t)
		return from.GetContext(ctx, &sorted[len(sorted)-1].rows, `SELECT count(*) FROM `+name)
	}
	for _, name := range names {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return sorted, nil
}

func describe(ctx context.Context, name string, lite, pg *sqlx.Tx) (copyTable, error) {
	t := copyTable{name: name}
	rows, err := pg.QueryxContext(ctx, `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`, name)
	err = scanAll(rows, err, func(r *sqlx.Rows) error {
		var column, kind string
		err := r.Scan(&column, &kind)
		t.columns, t.kinds = append(t.columns, column), append(t.kinds, kind)
		return err
	})
	if err != nil {
		return t, err
	}
	var others []string
	if err := lite.SelectContext(ctx, &others, `SELECT name FROM pragma_table_info(?) ORDER BY name`, name); err != nil {
		return t, err
	}
	if sorted := slices.Sorted(slices.Values(t.columns)); !slices.Equal(sorted, others) {
		return t, fmt.Errorf("the table %s has different columns in the two databases: %v and %v", name, sorted, others)
	}
	return t, nil
}

func (t *copyTable) copy(ctx context.Context, from, into *sqlx.Tx, progress func(string, int64, int64)) (Copied, error) {
	var sent rowHash
	var batch []any
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(t.columns)), ", ") + ")"
		query := `INSERT INTO ` + t.name + ` (` + strings.Join(t.columns, ", ") + `) VALUES ` +
			strings.TrimSuffix(strings.Repeat(row+", ", len(batch)/len(t.columns)), ", ")
		_, err := into.ExecContext(ctx, into.Rebind(query), batch...)
		batch = batch[:0]
		progress(t.name, sent.rows, t.rows)
		return err
	}
	err := t.each(ctx, from, func(row []any) error {
		sent.add(row)
		batch = append(batch, row...)
		if len(batch) == copyBatch*len(t.columns) {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return Copied{}, err
	}
	var kept rowHash
	if err := t.each(ctx, into, func(row []any) error { kept.add(row); return nil }); err != nil {
		return Copied{}, err
	}
	if kept != sent {
		return Copied{}, fmt.Errorf("%d rows were read and %d are there, or one of them has changed on the way", sent.rows, kept.rows)
	}
	return Copied{Table: t.name, Rows: sent.rows, Hash: hex.EncodeToString(sent.sum[:])}, nil
}

// each reads all rows of the table with values that are alike for both engines.
func (t *copyTable) each(ctx context.Context, tx *sqlx.Tx, do func(row []any) error) error {
	rows, err := tx.QueryxContext(ctx, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name)
	return scanAll(rows, err, func(r *sqlx.Rows) error {
		row, err := r.SliceScan()
		if err != nil {
			return err
		}
		for n := range row {
			if row[n], err = likeBoth(row[n], t.kinds[n]); err != nil {
				return fmt.Errorf("the column %s: %w", t.columns[n], err)
			}
		}
		return do(row)
	})
}

// likeBoth is the value of a column of that type, as neither engine tells it apart.
func likeBoth(v any, kind string) (any, error) {
	switch kind {
	case "uuid", "text":
		if b, ok := v.([]byte); ok {
			return string(b), nil
		}
	case "boolean":
		if n, ok := v.(int64); ok {
			return n != 0, nil
		}
	case "bytea", "bigint", "integer":
	default:
		return nil, fmt.Errorf("copying does not know the type %s", kind)
	}
	return v, nil
}

// rowHash is the number of rows and the exclusive or of their SHA-256 sums, so that their order does not matter.
type rowHash struct {
	rows int64
	sum  [sha256.Size]byte
}

func (h *rowHash) add(row []any) {
	one := sha256.New()
	for _, v := range row {
		text := []byte(fmt.Sprintf("%T ", v))
		switch v := v.(type) {
		case []byte:
			text = append(text, v...)
		default:
			text = fmt.Append(text, v)
		}
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		one.Write(length[:])
		one.Write(text)
	}
	for n, b := range one.Sum(nil) {
		h.sum[n] ^= b
	}
	h.rows++
}
