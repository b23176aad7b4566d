package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/app"
	"callbridge/bridge/web"
)

// runCallLink signs an address that orders calls: what the console's page "how
// to set up and try it" makes.
func runCallLink(ctx context.Context, c *cli, args []string) error {
	fs := c.flags()
	conf := fs.String("c", "callbridge.yaml", "configuration `file`")
	asJSON := fs.Bool("json", false, "print JSON")
	ext := fs.String("extension", web.AnyPhone, "whose phone rings; any: the caller of the address says it (extension=, user= or email=)")
	number := fs.String("number", "", "the only `number` that may be called; empty: the caller of the address says it (phone=)")
	days := fs.Int("days", 365, "how many days the address is good")
	words, err := c.parse(fs, args)
	if err != nil {
		return err
	}
	switch {
	case len(words) != 1:
		return usagef("name one integration")
	case *days < 1 || *days > 3650:
		return usagef("--days: %d is out of range: 1 to 3650", *days)
	}
	return c.withApp(ctx, *conf, func(a *app.App) error {
		l, err := a.MakeLink(ctx, web.CallLink{Integration: words[0], Extension: *ext, Number: *number, Until: bridge.At(time.Now().AddDate(0, 0, *days))})
		switch r, refused := errors.AsType[*web.Refused](err); {
		case refused && r.Code == "unknown_extension":
			return fmt.Errorf("--extension: %q belongs to no user of %s; callbridge sync shows who has one", *ext, words[0])
		case refused:
			return fmt.Errorf("public_url: is not set in %s, so there is nothing to link to", *conf)
		case errors.Is(err, web.ErrNotFound):
			return fmt.Errorf("there is no integration %q", words[0])
		case err != nil:
			return err
		}
		if *asJSON {
			return json.NewEncoder(c.out).Encode(l)
		}
		_, err = fmt.Fprintf(c.out, "%s\ngood until %s\n", l.URL, l.Until.Format(time.RFC3339))
		return err
	})
}
