package bridge

// EventKinds returns the closed list of what PBXs tell, for metrics at zero.
func EventKinds() []EventKind {
	return []EventKind{ChannelBegan, ChannelRinging, ChannelUp, ChannelNumber, ChannelEnded, Hangup, Dialling, DialRinging,
		DialProgress, DialAnswered, DialEnded, RoomEntered, RoomLeft, RoomsMerged, BlindTransfer, AttendedXfer, HoldBegan,
		HoldEnded, DigitPressed, VariableSet, RouteAsked, RouteEnded, RecordingBegan, RecordingDone, DeviceState, Registration, LinkLost,
		LinkUp, UnknownEvent, Unimportant}
}
