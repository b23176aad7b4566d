package bridge

// Watched is the Value of a LinkUp that is no new link: the PBX was asked what
// there is, because calls have been silent for long.
const Watched = "watched"
