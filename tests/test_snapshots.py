"""Snapshots hold what was sent; syrupy compares, writes and counts them."""

from tests.project import NAME, SECTION, Project

SNAPPED = NAME + "snapshot: true\n"
FILE = "scenarios/__snapshots__/name/remembers-the-name.txt"
MINE = SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "mine:client"')


def recorded(project: Project) -> Project:
    project.write("scenarios/name.yaml", SNAPPED)
    assert project.pytest("--convtest-record=once").counts() == {"passed": 1}
    assert project.pytest("--snapshot-update").counts() == {"passed": 1}
    return project


def test_a_snapshot_shows_what_was_sent_and_came_back(project: Project) -> None:
    recorded(project)

    assert project.read(FILE) == (
        "# remembers the name\n"
        "# source: cassette\n"
        "\n"
        "session main\n"
        "\n"
        "  1. user: My name is Ada.\n"
        "     sent: 1 message (user)\n"
        "       model: claude-haiku-4-5\n"
        "       max_tokens: 1024\n"
        "       + user: My name is Ada.\n"
        "     events: text*5 turn_end\n"
        "     ended: complete\n"
        "     reply: Nice to meet you, Ada.\n"
        "\n"
        "  2. user: What is my name?\n"
        "     sent: 3 messages (user, assistant, user)\n"
        "       + assistant: Nice to meet you, Ada.\n"
        "       + user: What is my name?\n"
        "     events: text*4 turn_end\n"
        "     ended: complete\n"
        "     reply: You told me: Ada.\n"
    )


def test_it_is_compared_on_every_replay(project: Project) -> None:
    recorded(project)
    project.write(FILE, project.read(FILE).replace("Nice to meet", "Nasty to meet"))

    done = project.pytest()

    assert done.counts() == {"failed": 1}
    assert "the snapshot differs — scenarios/__snapshots__/name/remembers-the-name.txt" in done.out
    assert "  -     reply: Nasty to meet you, Ada." in done.out
    assert "  +     reply: Nice to meet you, Ada." in done.out
    assert "pytest --snapshot-update scenarios/name.yaml::remembers-the-name" in done.out


def test_one_that_is_missing_fails_and_says_how_to_make_it(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED)

    done = project.pytest()

    assert done.counts() == {"failed": 1}
    assert "there is no snapshot yet" in done.out


def test_a_simulated_run_does_not_judge_a_snapshot_of_a_cassette(project: Project) -> None:
    recorded(project)
    edited = project.read(FILE).replace("Nice to meet", "Nasty to meet")
    project.write(FILE, edited)
    (project.root / "cassettes" / "name" / "remembers-the-name.yaml").unlink()

    assert project.pytest().counts() == {"passed": 1}
    assert project.pytest("--snapshot-update").counts() == {"passed": 1}
    assert project.read(FILE) == edited


def test_a_simulated_run_judges_a_snapshot_of_the_simulator(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED)
    project.pytest("--snapshot-update")
    assert project.pytest().counts() == {"passed": 1}

    project.write(FILE, project.read(FILE).replace("text*4", "text*9"))

    assert "# source: simulator" in project.read(FILE)
    assert project.pytest().counts() == {"failed": 1}


def test_recording_neither_compares_nor_writes_nor_deletes(project: Project) -> None:
    recorded(project)
    edited = project.read(FILE).replace("Nice to meet", "Nasty to meet")
    project.write(FILE, edited)

    done = project.pytest("--convtest-record=all", "--snapshot-update")

    assert done.counts() == {"passed": 1}
    assert project.read(FILE) == edited


def test_a_failed_item_writes_no_snapshot(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED.replace("answer: Ada", "answer: Grace"))

    assert project.pytest("--snapshot-update").counts() == {"failed": 1}
    assert not (project.root / FILE).exists()


def test_a_turn_may_ask_for_its_part_alone(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME + "    expect: {snapshot: true}\n")
    project.pytest("--snapshot-update")

    assert "2. user: What is my name?" in project.read(FILE)
    assert "1. user" not in project.read(FILE)


def test_a_client_that_sends_less_changes_the_snapshot(project: Project) -> None:
    plain = "scenario: small talk\nid: remembers-the-name\nsnapshot: true\n"
    plain += "invariants: {skip: [history, prompts_once, mass], because: x}\n"
    plain += "steps:\n  - user: I like tea.\n  - user: What is 1 + 1?\n"
    project.write("scenarios/name.yaml", plain)
    project.pytest("--snapshot-update")
    project.write("pyproject.toml", MINE)
    project.write(
        "mine.py",
        """
        from convtest.clients.messages.client import MessagesClient

        class client(MessagesClient):
            async def query(self, text):
                self._messages, self._turns = [], []
                await super().query(text)
        """,
    )

    out = project.pytest().out

    assert "+       - user: I like tea." in out
    assert "+     sent: 1 message (user)" in out


def test_snapshots_of_items_that_did_not_run_are_kept(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED)
    project.write("scenarios/other.yaml", SNAPPED)
    project.pytest("--snapshot-update")

    done = project.pytest("scenarios/name.yaml", "--snapshot-update")

    assert done.counts() == {"passed": 1}
    assert (project.root / "scenarios/__snapshots__/other/remembers-the-name.txt").exists()


def test_snapshots_work_under_xdist(project: Project) -> None:
    project.write("scenarios/name.yaml", SNAPPED)
    project.write("scenarios/other.yaml", SNAPPED)
    assert project.pytest("-n", "2", "--snapshot-update").counts() == {"passed": 2}

    assert project.pytest("-n", "2").counts() == {"passed": 2}
