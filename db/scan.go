package db

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/jmoiron/sqlx"
)

// scanAll reads all rows into the slice at dest, and closes them. Its elements
// are structs, each field of which is read from the column of its name, or
// single values. sqlx would look for the fields anew in each row, and copy it.
func scanAll(rows *sqlx.Rows, dest any) error {
	defer rows.Close() //nolint:errcheck // Err says what went wrong
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	list := reflect.ValueOf(dest).Elem()
	var fields [][]int // by column; none of a single value
	if row := list.Type().Elem(); row.Kind() == reflect.Struct {
		fields = rows.Mapper.TraversalsByName(row, columns)
		if at := slices.IndexFunc(fields, func(f []int) bool { return len(f) == 0 }); at >= 0 {
			return fmt.Errorf("%s has no field for the column %s", row, columns[at])
		}
	}
	into := make([]any, len(columns))
	for rows.Next() {
		list.Grow(1)
		list.SetLen(list.Len() + 1)
		row := list.Index(list.Len() - 1)
		if fields == nil {
			into[0] = row.Addr().Interface()
		}
		for i, field := range fields {
			into[i] = row.FieldByIndex(field).Addr().Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
	}
	return rows.Err()
}
