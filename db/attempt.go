package db

import (
	"encoding/json"

	"github.com/hookql/hookql/internal/webhook"
)

func attemptRecord(x *webhook.Exchange) ([]byte, error) { return json.Marshal(x.Detail) }
