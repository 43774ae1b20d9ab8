// What the example in Kotlin uses of OkHttp 4, for its test: Debian has no OkHttp that is made for Kotlin. The names and shapes are those
// of OkHttp; the JDK's client makes the calls.
package okhttp3

import java.io.Closeable
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration

class MediaType private constructor(private val text: String) {
    override fun toString(): String = text

    companion object {
        fun String.toMediaType(): MediaType = MediaType(this)
    }
}

class RequestBody private constructor(val content: ByteArray, val contentType: MediaType?) {
    companion object {
        fun ByteArray.toRequestBody(contentType: MediaType? = null): RequestBody = RequestBody(this, contentType)
    }
}

class Request private constructor(val made: HttpRequest) {
    class Builder {
        private val made = HttpRequest.newBuilder()

        fun url(url: String): Builder = apply { made.uri(URI.create(url)) }

        fun header(name: String, value: String): Builder = apply { made.setHeader(name, value) }

        fun post(body: RequestBody): Builder = apply {
            body.contentType?.let { made.setHeader("Content-Type", it.toString()) }
            made.POST(HttpRequest.BodyPublishers.ofByteArray(body.content))
        }

        fun build(): Request = Request(made.build())
    }
}

class ResponseBody(private val text: String) {
    fun string(): String = text
}

class Response(private val received: HttpResponse<String>) : Closeable {
    val code: Int get() = received.statusCode()
    val body: ResponseBody? = ResponseBody(received.body())

    fun header(name: String): String? = received.headers().firstValue(name).orElse(null)

    override fun close() {}
}

class Call(private val http: HttpClient, private val request: Request) {
    fun execute(): Response = Response(http.send(request.made, HttpResponse.BodyHandlers.ofString()))
}

class OkHttpClient private constructor() {
    private val http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).followRedirects(HttpClient.Redirect.NEVER).build()

    fun newCall(request: Request): Call = Call(http, request)

    class Builder {
        fun readTimeout(@Suppress("UNUSED_PARAMETER") timeout: Duration): Builder = this

        fun retryOnConnectionFailure(@Suppress("UNUSED_PARAMETER") retry: Boolean): Builder = this

        fun followRedirects(@Suppress("UNUSED_PARAMETER") follow: Boolean): Builder = this

        fun build(): OkHttpClient = OkHttpClient()
    }
}
