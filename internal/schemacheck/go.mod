module github.com/hookql/hookql/internal/schemacheck

go 1.26.0

// Packages of npm hold Go files too.
ignore ./node_modules
