"""What a serving process cannot do, seen from outside, and what still works."""

import os
import pwd
import shutil
import signal
import stat
import tempfile

import proxy
import tlscase
import util


def status_of(process):
    """The fields of /proc/PID/status."""
    with open("/proc/%d/status" % process, encoding="ascii") as file:
        pairs = (line.split(":", 1) for line in file)
        return {name: value.strip() for name, value in pairs}


def children_of(process):
    path = "/proc/%d/task/%d/children" % (process, process)
    with open(path, encoding="ascii") as file:
        return [int(number) for number in file.read().split()]


def threads_of(process):
    return [int(name) for name in os.listdir("/proc/%d/task" % process)]


class WallsTest(tlscase.TlsCase):
    def setUp(self):
        super().setUp()
        # Root's alone, and so are the folders on the way.
        self.folder = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.chmod(self.folder, 0o700)
        self.install("rsa")

    def install(self, name):
        """Puts that certificate and its key where the settings say."""
        for kind, target in ((".chain.pem", "cert.pem"), (".key", "key.pem")):
            new = os.path.join(self.folder, "new")
            shutil.copyfile(self.certificates.path(name + kind), new)
            os.chmod(new, 0o600)
            os.replace(new, os.path.join(self.folder, target))

    def path(self, name):
        return os.path.join(self.folder, name)

    def start_as_nobody(self, **changes):
        settings = dict(
            user="nobody",
            sandbox="yes",
            tls_cert_file=self.path("cert.pem"),
            tls_key_file=self.path("key.pem"),
        )
        settings.update(changes)
        running = self.start_proxy(**settings)
        # Started by setpriv, which has become tlspost.
        self.process = running.process.pid
        return running

    def test_the_process_has_given_up_everything(self):
        running = self.start_as_nobody()
        nobody = pwd.getpwnam("nobody")
        for thread in threads_of(self.process):
            with self.subTest(thread=thread):
                facts = status_of(thread)
                self.assertEqual(
                    facts["Uid"].split(), [str(nobody.pw_uid)] * 4
                )
                self.assertEqual(
                    facts["Gid"].split(), [str(nobody.pw_gid)] * 4
                )
                self.assertNotIn("0", facts["Groups"].split())
                for name in ("CapEff", "CapPrm", "CapAmb", "CapInh"):
                    self.assertEqual(int(facts[name], 16), 0, name)
                self.assertEqual(facts["NoNewPrivs"], "1")
                self.assertEqual(facts["Seccomp"], "2")
        running.wait_for_log(
            r"walls: user id %d, no new privileges, (?:Landlock \d+|no Landlock"
            r".*), system calls filtered$" % nobody.pw_uid
        )
        with open("/proc/%d/limits" % self.process, encoding="ascii") as file:
            core = [line for line in file if line.startswith("Max core")]
        self.assertEqual(core[0].split()[4:6], ["0", "0"])
        # The memory, where the keys are, is nobody's to read.
        self.assertEqual(os.stat("/proc/%d/mem" % self.process).st_uid, 0)

    def test_the_keeper_of_files_has_little_more(self):
        self.start_as_nobody()
        (keeper,) = children_of(self.process)
        facts = status_of(keeper)
        self.assertEqual(facts["Name"], "tlspost-files")
        self.assertEqual(facts["NoNewPrivs"], "1")
        self.assertEqual(facts["Seccomp"], "2")
        # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
        self.assertEqual(int(facts["CapEff"], 16) & ~0b110, 0)

    def test_mail_still_flows(self):
        running = self.start_as_nobody(backend_tls_security_level="none")
        client = self.tls_session(running)
        self.assert_delivers(client)
        client.quit()

    def test_keys_that_only_root_may_read_are_renewed(self):
        running = self.start_as_nobody()
        self.assertEqual(
            stat.S_IMODE(os.stat(self.path("key.pem")).st_mode), 0o600
        )
        self.install("ecdsa")
        running.wait_for_log(tlscase.RELOADED)
        self.assert_delivers(self.tls_session(running))
        self.assertNotIn("error:", running.log())

    def test_sighup_reads_them_too(self):
        running = self.start_as_nobody()
        running.process.send_signal(signal.SIGHUP)
        running.wait_for_log(tlscase.RELOADED)

    def test_the_log_is_reopened_where_only_root_writes(self):
        log = self.path("mail.log")
        running = self.start_as_nobody(log_file=log)
        os.rename(log, log + ".1")
        running.process.send_signal(signal.SIGUSR1)
        util.wait_until(lambda: os.path.exists(log), 10, "a new log file")

        # It is there a moment before the first line goes into it.
        def is_written():
            self.tls_session(running).quit()
            return "disconnect from" in util.read_text(log)

        util.wait_until(is_written, 10, "its lines")
        self.assertIn("listening on", util.read_text(log + ".1"))

    def test_without_a_sandbox(self):
        running = self.start_as_nobody(sandbox="no")
        facts = status_of(self.process)
        self.assertEqual(facts["Seccomp"], "0")
        self.assertEqual(facts["NoNewPrivs"], "0")
        self.assertNotEqual(facts["Uid"].split()[0], "0")
        self.install("ecdsa")
        running.wait_for_log(tlscase.RELOADED)

    def test_it_leaves_nothing_behind(self):
        running = self.start_as_nobody()
        children = children_of(self.process)
        self.assertEqual(len(children), 1)
        running.stop()
        util.wait_until(
            lambda: not os.path.exists("/proc/%d" % children[0]),
            10,
            "the end of the keeper",
        )

    def test_it_dies_with_the_server(self):
        running = self.start_as_nobody()
        (keeper,) = children_of(self.process)
        self.proxies.remove(running)
        running.kill()
        util.wait_until(
            lambda: not os.path.exists("/proc/%d" % keeper),
            10,
            "the end of the keeper",
        )
        running.forget()

    def test_a_user_that_is_not_there(self):
        result = proxy.run(
            *proxy.options(
                proxy.settings_for(
                    0, "127.0.0.1:1", self.certificates, user="no-such-user"
                )
            )
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("user: there is no user no-such-user", result.stderr)


class NoUserTest(tlscase.TlsCase):
    def test_there_are_walls_all_the_same(self):
        running = self.start_proxy(sandbox="yes")
        facts = status_of(running.process.pid)
        self.assertEqual(facts["NoNewPrivs"], "1")
        self.assertEqual(facts["Seccomp"], "2")
        for thread in threads_of(running.process.pid):
            facts = status_of(thread)
            for name in ("CapEff", "CapPrm", "CapAmb", "CapInh"):
                self.assertEqual(int(facts[name], 16), 0, name)
        self.assert_delivers(self.tls_session(running))
