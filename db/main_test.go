package db_test

import (
	"os"
	"testing"

	"github.com/hookql/hookql/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
