//! HTTP/1.1 by hand: requests that no library would send, and every byte of the answer.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::REFRESH_COOKIE;
use crate::jar::SetCookie;
use crate::wait::PATIENCE;

/// A request, written exactly as put together; only `Host` and `Content-Length` are added where nothing was said of them.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Option<Vec<u8>>,
    host: bool,
    length: bool,
}

impl Request {
    /// Any method, any target.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            host: true,
            length: true,
        }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// A DELETE.
    pub fn delete(target: &str) -> Self {
        Self::new("DELETE", target)
    }

    /// A sign-in, as a program without a browser sends it.
    pub fn login(username: &str, password: &str) -> Self {
        Self::post("/auth/login").json(&serde_json::json!({ "username": username, "password": password }))
    }

    /// What the request is for, in messages.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The target.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The header lines of our own making, in order.
    pub fn headers(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.headers
    }

    /// The body, if it has one.
    pub fn content(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// Whether the answer has no body, whatever its headers say.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The same request for another target.
    #[must_use]
    pub fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// One more header line; a name may come several times, a value may be any bytes.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// An access token in its place.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// A `Cookie` line with one cookie.
    #[must_use]
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("Cookie", format!("{name}={value}"))
    }

    /// A `Cookie` line with a refresh token.
    #[must_use]
    pub fn refresh(self, token: &str) -> Self {
        self.cookie(REFRESH_COOKIE, token)
    }

    /// What a browser's script on the app's own page sends.
    #[must_use]
    pub fn same_origin(self) -> Self {
        self.header("Sec-Fetch-Site", "same-origin")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
    }

    /// A JSON body with its type.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// A body of any bytes.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// Without a `Host` of our own making; a test may add none, one, or two.
    #[must_use]
    pub fn without_host(mut self) -> Self {
        self.host = false;
        self
    }

    /// The body goes in chunks, so that nothing announces its length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.length = false;
        self.header("Transfer-Encoding", "chunked")
    }

    /// The bytes of the request, for a connection to `address`.
    pub fn to_bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &[u8], value: &[u8]| {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if self.host {
            line(b"Host", address.to_string().as_bytes());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        let body = self.body.as_deref();
        if self.length && (body.is_some() || self.method == "POST") {
            line(b"Content-Length", body.map_or(0, <[u8]>::len).to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        if self.length {
            bytes.extend_from_slice(body.unwrap_or_default());
        } else {
            for chunk in body.unwrap_or_default().chunks(1000) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        bytes
    }

    /// Sends it on a connection of its own; fails if no answer comes.
    pub async fn send(&self, address: SocketAddr) -> Response {
        self.try_send(address)
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", self.line()))
    }

    /// Sends it on a connection of its own.
    ///
    /// # Errors
    /// When the connection breaks before the whole answer is here.
    pub async fn try_send(&self, address: SocketAddr) -> std::io::Result<Response> {
        Connection::open(address).await?.send(self).await
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address,
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks before the whole answer is here.
    pub async fn send(&mut self, request: &Request) -> std::io::Result<Response> {
        let sent = self.write(&request.to_bytes(self.address)).await;
        // A server that refuses early may close before it has read everything; its answer counts all the same.
        match self.read(request.is_head()).await {
            Err(e) => Err(sent.err().unwrap_or(e)),
            answer => answer,
        }
    }

    /// Writes raw bytes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Reads one answer; `headless` when it has no body whatever its headers say.
    ///
    /// # Errors
    /// When the connection breaks before the whole answer is here.
    pub async fn read(&mut self, headless: bool) -> std::io::Result<Response> {
        match tokio::time::timeout(PATIENCE, self.read_answer(headless)).await {
            Ok(answer) => answer,
            Err(_) => panic!("no answer within {PATIENCE:?}"),
        }
    }

    async fn read_answer(&mut self, headless: bool) -> std::io::Result<Response> {
        let response = self.read_head().await?;
        self.read_body(response, headless).await
    }

    async fn read_body(&mut self, mut response: Response, headless: bool) -> std::io::Result<Response> {
        if headless || matches!(response.status, 101 | 204 | 304) {
            return Ok(response);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = self.chunks().await?;
        } else if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().expect("a length")];
            self.stream.read_exact(&mut response.body).await?;
        } else {
            self.stream.read_to_end(&mut response.body).await?;
        }
        Ok(response)
    }

    /// Reads the head of an answer, and leaves its body where it is.
    ///
    /// # Errors
    /// When the connection breaks before the whole head is here.
    pub async fn head(&mut self) -> std::io::Result<Response> {
        match tokio::time::timeout(PATIENCE, self.read_head()).await {
            Ok(head) => head,
            Err(_) => panic!("no answer within {PATIENCE:?}"),
        }
    }

    /// Reads the body that belongs to this head.
    ///
    /// # Errors
    /// When the connection breaks before the whole body is here.
    pub async fn body(&mut self, head: Response, headless: bool) -> std::io::Result<Response> {
        match tokio::time::timeout(PATIENCE, self.read_body(head, headless)).await {
            Ok(answer) => answer,
            Err(_) => panic!("no end within {PATIENCE:?}"),
        }
    }

    async fn read_head(&mut self) -> std::io::Result<Response> {
        let status_line = self.line().await?;
        let status = std::str::from_utf8(&status_line)
            .ok()
            .and_then(|line| {
                let rest = line
                    .strip_prefix("HTTP/1.1 ")
                    .or_else(|| line.strip_prefix("HTTP/1.0 "))?;
                rest.get(..3)?.parse().ok()
            })
            .unwrap_or_else(|| panic!("not a status line: {:?}", String::from_utf8_lossy(&status_line)));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let colon = line
                .iter()
                .position(|byte| *byte == b':')
                .expect("a colon in a header line");
            let name = String::from_utf8(line[..colon].to_ascii_lowercase()).expect("an ASCII header name");
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        Ok(Response {
            status,
            headers,
            body: Vec::new(),
        })
    }

    async fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend(chunk);
        }
        Ok(body)
    }

    /// Reads one chunk of a body that comes in chunks; `None` at its end. Waits for as long as it takes.
    ///
    /// # Errors
    /// When the connection breaks before the end.
    pub async fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(std::str::from_utf8(&size).expect("ASCII"), 16).expect("a chunk size");
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).await?;
        self.line().await?;
        Ok((size > 0).then_some(chunk))
    }

    async fn line(&mut self) -> std::io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }
}

/// An answer.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Every header line in order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value))?;
        }
        write!(f, "\n{}", self.text())
    }
}

impl Response {
    /// All values of a header, as text.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n == name);
        named
            .map(|(_, value)| std::str::from_utf8(value).expect("ASCII in our own headers"))
            .collect()
    }

    /// The value of a header that may come once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} comes {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }

    /// Every `Set-Cookie` line.
    pub fn cookies(&self) -> Vec<SetCookie> {
        self.all("set-cookie").into_iter().map(SetCookie::parse).collect()
    }

    /// The one line about the refresh cookie, if there is one; two would leave its fate to the browser.
    pub fn refresh_cookie(&self) -> Option<SetCookie> {
        let mut ours: Vec<_> = self
            .cookies()
            .into_iter()
            .filter(|cookie| cookie.name == REFRESH_COOKIE)
            .collect();
        assert!(ours.len() < 2, "the refresh cookie is set twice: {self:?}");
        ours.pop()
    }

    /// The refresh token that it sets, if it sets one.
    pub fn refresh_token(&self) -> Option<String> {
        self.refresh_cookie()
            .filter(|cookie| !cookie.deletes())
            .map(|cookie| cookie.value)
    }

    /// The access token that it carries, in the body or in the header of a silent exchange.
    pub fn access_token(&self) -> Option<String> {
        if let Some(token) = self.header("x-access-token") {
            return Some(token.to_owned());
        }
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body["access_token"].as_str().map(ToOwned::to_owned)
    }

    /// The `code` of a problem document.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body["code"].as_str().map(ToOwned::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(bytes: &'static [u8]) -> Response {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.expect("a request");
            stream.write_all(bytes).await.expect("an answer");
        });
        let response = Request::get("/").send(address).await;
        server.await.expect("the server ran");
        response
    }

    #[tokio::test]
    async fn chunked_and_counted_bodies_and_repeated_headers_are_read() {
        let chunked =
            answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
        assert_eq!(chunked.text(), "abcde");
        let counted = answer(
            b"HTTP/1.1 401 No\r\nSet-Cookie: a=1\r\nset-cookie: b=2; Max-Age=0\r\nContent-Length: 14\r\n\r\n{\"code\":\"nay\"}",
        )
        .await;
        assert_eq!(counted.status, 401);
        assert_eq!(counted.cookies().len(), 2);
        assert!(counted.cookies()[1].deletes());
        assert_eq!(counted.code().as_deref(), Some("nay"));
    }

    #[test]
    fn a_request_is_written_as_put_together() {
        let address = "127.0.0.1:80".parse().expect("an address");
        let request = Request::post("/x")
            .without_host()
            .header("Cookie", b"a=\xff")
            .header("Cookie", "b")
            .body("hi")
            .chunked();
        assert_eq!(
            request.to_bytes(address),
            b"POST /x HTTP/1.1\r\nCookie: a=\xff\r\nCookie: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        );
    }
}
