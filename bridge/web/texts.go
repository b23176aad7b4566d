package web

import "maps"

// texts holds every text people see: Russian, English. The parts stand beside
// the pages they belong to.
var texts = union(baseTexts, consoleTexts)

func union(parts ...map[string][2]string) map[string][2]string {
	out := map[string][2]string{}
	for _, p := range parts {
		maps.Copy(out, p)
	}
	return out
}

// consoleTexts are those of the console.
var consoleTexts = map[string][2]string{}
