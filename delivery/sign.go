package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// sign returns the value of webhook-signature by Standard Webhooks v1, over
// "id.timestamp.content". The content is the body, and for GET, which has
// none, the raw query as it is sent.
func sign(key []byte, id string, at time.Time, content []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(content)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
