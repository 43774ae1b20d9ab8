// Asks for one OTP with the example of docs/clients.md, after an enrollment when an argument says so, and prints it, or what to do now.
fun main(args: Array<String>) {
    val pimsd = Pimsd(System.getenv("URL"), System.getenv("KEY"))
    try {
        if ("enroll" in args) pimsd.enroll(System.getenv("PIN"), System.getenv("CODE"))
        println(pimsd.otp(System.getenv("PIN")))
    } catch (failed: PimsdException) {
        println(failed.whatNow)
    }
}
