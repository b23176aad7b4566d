package config

import (
	"fmt"
	"slices"

	"callbridge/bridge"
	"callbridge/bridge/setting"
)

// credentials checks the named credentials.
func (c *checker) credentials(list []bridge.Credential) {
	seen := map[string]string{}
	for i, cr := range list {
		path := fmt.Sprintf("credentials[%d]", i)
		if !idForm.MatchString(cr.ID) {
			c.add(path+".id", "%q is no id; use %s", cr.ID, idHelp)
		}
		c.unique(seen, path+".id", cr.ID)
		if fields, ok := c.drivers[cr.Kind]; ok {
			c.list = append(c.list, setting.Validate(path+".values.", fields, setting.Values(cr.Values))...)
			continue
		}
		kinds := make([]string, 0, len(c.drivers))
		for k := range c.drivers {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		c.oneOf(path+".kind", cr.Kind, kinds...)
	}
}

// usesCredentials checks that the credentials an integration names are there.
func (c *checker) usesCredentials(path string, in *bridge.Integration, s *bridge.Settings) {
	if in.CredentialsID == "" {
		return
	}
	i := slices.IndexFunc(s.Credentials, func(cr bridge.Credential) bool { return cr.ID == in.CredentialsID })
	switch {
	case i < 0:
		c.add(path+".credentials_id", "%q is not among the credentials", in.CredentialsID)
	case s.Credentials[i].Kind != in.Kind:
		c.add(path+".credentials_id", "%q are credentials for %s, not for %s", in.CredentialsID, s.Credentials[i].Kind, in.Kind)
	}
}

// unmask puts stored secrets where a mask stands.
func unmask(v *faults, path, owner string, values, stored map[string]string) map[string]string {
	out := make(map[string]string, len(values))
	for name, value := range values {
		if value == setting.Mask {
			if value = stored[name]; value == "" || value == setting.Mask {
				v.add(path+"."+name, "is masked, and none is stored for %s: write it out", owner)
				value = ""
			}
		}
		out[name] = value
	}
	return out
}

// masked hides secrets; of a kind of CRM that is not known, everything.
func masked(kind string, values map[string]string, drivers map[string][]setting.Field) map[string]string {
	if len(values) == 0 {
		return values
	}
	fields, known := drivers[kind]
	if !known {
		for name := range values {
			fields = append(fields, setting.Field{Name: name, Secret: true})
		}
	}
	return setting.Masked(fields, setting.Values(values))
}
