package retailcrmtest

// AddUser adds an employee and returns his id.
func (f *Fake) AddUser(u User) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.ID == 0 {
		u.ID = 11
		for _, o := range f.users {
			u.ID = max(u.ID, o.ID+1)
		}
	}
	f.users = append(f.users, &user{User: u, at: f.opts.Now(), status: "free", online: true})
	return u.ID
}

// ChangeUser lets an administrator of the portal edit an employee.
func (f *Fake) ChangeUser(id int, change func(*User)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.userByID(id); u != nil {
		change(&u.User)
	}
}
