package postgres

// ForgetLinesStatement is the statement of one step of ForgetLines.
const ForgetLinesStatement = forgetLines
