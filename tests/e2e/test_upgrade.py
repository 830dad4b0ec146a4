"""One tlspost takes over from another, and no client is refused."""

import os
import socket
import tempfile
import time

import case
import proxy
import traffic
import util


class UpgradeTest(case.PostfixCase):
    crowd = True
    both_engines = True

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tlspost-e2e-")
        self.addCleanup(folder.cleanup)
        self.socket = os.path.join(folder.name, "control")
        self.port = util.free_port()

    def arguments(self, **changes):
        return proxy.options(
            proxy.settings_for(
                self.port,
                self.postfix.backend("reuse"),
                self.certificates,
                backend_max_connections=8,
                drain_timeout="20s",
                client_connection_count_limit=0,
                **changes
            )
        )

    def check_nothing_failed(self, ledger):
        self.assertEqual(ledger.turned_away, [])
        numbers = traffic.check(self, ledger.outcomes)
        self.assertEqual(set(numbers), {"sent"})
        self.assertGreater(numbers["sent"], traffic.CLIENTS)

    def ended(self, running):
        """It has ended by itself, and well."""
        self.assertEqual(running.wait(30), 0)
        running.check_sanitizers()

    # Descriptors from the tlspost that runs.

    def take_over(self, **changes):
        running = self.launch(
            self.arguments(
                control_socket=self.socket, takeover="yes", **changes
            ),
            self.port,
        )
        running.wait_for_log("ready: ")
        return running

    def test_takeovers_under_load(self):
        admin = "127.0.0.1:%d" % util.free_port()
        running = self.take_over(admin_listen=admin)
        running.wait_for_log("takeover: nobody listens .* ordinary start")
        with traffic.Traffic(
            self.port, self.certificates.trust(), mails=3
        ) as ledger:
            # Fewer workers, and more, than there are sockets.
            for workers in (2, 1, 3):
                time.sleep(1)
                before = running
                running = self.take_over(
                    admin_listen=admin, workers=workers
                )
                running.wait_for_log("takeover: the tlspost before this one")
                before.wait_for_log("takeover: another tlspost serves now")
                self.ended(before)
            time.sleep(1)
        self.check_nothing_failed(ledger)
        self.assertTrue(os.path.exists(self.socket))

    def test_a_session_goes_on_at_the_old_one(self):
        running = self.take_over()
        client = self.tls_session(running)
        self.assert_delivers(client, "before@sender.test")
        new = self.take_over()
        running.wait_for_log("takeover: another tlspost serves now")
        self.assert_delivers(client, "behind@sender.test")
        client.quit()
        self.ended(running)
        self.assert_delivers(self.tls_session(new), "new@sender.test")

    def test_who_does_not_come_up_takes_nothing_over(self):
        running = self.take_over()
        result = proxy.run(
            *self.arguments(
                control_socket=self.socket,
                takeover="yes",
                io_engine=self.engine,
                backend_connect_timeout="1s",
                admin_listen="192.0.2.1:1",
                admin_allow_remote="yes",
            )
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("admin_listen", result.stderr)
        running.wait_for_log("takeover: the other tlspost did not come up")
        self.assert_delivers(self.tls_session(running))
        self.assertEqual(
            proxy.run("reload", "--control_socket=" + self.socket).returncode,
            0,
        )

    def test_one_takeover_at_a_time(self):
        running = self.take_over()
        with socket.socket(socket.AF_UNIX) as first:
            first.settimeout(10)
            first.connect(self.socket)
            first.sendall(b"listeners\n")
            offer = first.recv(100).decode().split()
            self.assertEqual(offer[0], self.engine)
            first.sendall(b"send\n")
            _, sockets, _, _ = socket.recv_fds(first, 1, 100)
            self.assertEqual(len(sockets), int(offer[1]))
            for each in sockets:
                os.close(each)
            second = proxy.run(
                *self.arguments(
                    control_socket=self.socket,
                    takeover="yes",
                    io_engine=self.engine,
                )
            )
            self.assertEqual(second.returncode, 1)
            self.assertIn(
                "takeover: the tlspost that runs hands nothing over: another "
                "takes over just now",
                second.stderr,
            )
        running.wait_for_log("takeover: the other tlspost did not come up")
        client = self.tls_session(running)
        self.assert_delivers(client)
        client.quit()
        self.take_over()
        self.ended(running)

    def test_the_other_engine_takes_nothing_over(self):
        mine = self.engine
        other = {"epoll": "io_uring", "io_uring": "epoll"}[mine]
        running = self.take_over()
        result = proxy.run(
            *self.arguments(
                control_socket=self.socket, takeover="yes", io_engine=other
            )
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn(
            "takeover: the tlspost that runs uses %s, and this one would use "
            "%s; start it with io_engine = %s" % (mine, other, mine),
            result.stderr,
        )
        client = self.tls_session(running)
        self.assert_delivers(client)

    def test_a_busy_port_is_refused_without_takeover(self):
        self.launch(self.arguments(), self.port)
        result = proxy.run(*self.arguments())
        self.assertEqual(result.returncode, 1)
        self.assertIn("another process has it", result.stderr)

    # Sockets from systemd.

    def activated(self, listener):
        running = self.launch(
            self.arguments(), self.port, activation=listener
        )
        running.wait_for_log("ready: ")
        return running

    def listener(self):
        listener = socket.create_server(
            ("127.0.0.1", self.port), backlog=1024
        )
        # As systemd makes them.
        listener.setblocking(False)
        self.addCleanup(listener.close)
        return listener

    def test_restarts_under_load_with_an_inherited_socket(self):
        listener = self.listener()
        running = self.activated(listener)
        with traffic.Traffic(
            self.port, self.certificates.trust(), mails=1
        ) as ledger:
            for _ in range(3):
                time.sleep(1)
                running.terminate()
                self.ended(running)
                running = self.activated(listener)
            time.sleep(1)
        self.check_nothing_failed(ledger)

    def test_a_socket_that_no_setting_names(self):
        listener = self.listener()
        self.port = util.free_port()
        with self.assertRaisesRegex(AssertionError, "LISTEN_FDS: there is"):
            self.activated(listener)


class DrainUnderLoadTest(case.PostfixCase):
    crowd = True

    def test_sigterm_loses_and_doubles_nothing(self):
        running = self.start_proxy(
            backend_max_connections=4, drain_timeout="20s"
        )
        with traffic.Traffic(running.port, self.certificates.trust()) as ledger:
            time.sleep(2)
            running.terminate()
            self.assertEqual(running.wait(30), 0)
        numbers = traffic.check(self, ledger.outcomes)
        self.assertGreater(numbers["sent"], traffic.CLIENTS)
        # Between two mails 421 is heard as MAIL's reply, or the connection's
        # end is seen first; within one nothing is cut off.
        self.assertLessEqual(
            set(numbers), {"sent", "refused", "unsent"}, numbers
        )
