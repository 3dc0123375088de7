"""Writes a Homebrew formula for each program of a release, from its archives: formula.py DIST TAG

An archive that a platform should have and has not is an error. The form is that of
https://docs.brew.sh/Formula-Cookbook; completions and the man page come with the program.
"""

import hashlib
import sys
from pathlib import Path

REPOSITORY = "https://github.com/tap-wistia/tap-wistia"
DESCRIPTIONS = {
    "tap-wistia": "Singer tap and Airbyte source for the Wistia Data and Stats APIs",
    "target-s3-parquet": "Singer target and Airbyte destination that writes typed Parquet to S3",
}
PLATFORMS = {
    "macos": {"arm": "aarch64-apple-darwin", "intel": "x86_64-apple-darwin"},
    "linux": {"arm": "aarch64-unknown-linux-gnu", "intel": "x86_64-unknown-linux-gnu"},
}
FORMULA = """\
class {name} < Formula
  desc "{description}"
  homepage "{repository}"
  version "{version}"
  license "Apache-2.0"
{platforms}
  def install
    bin.install "{program}"
    man1.install "man/{program}.1"
    bash_completion.install "completions/{program}.bash" => "{program}"
    zsh_completion.install "completions/_{program}"
    fish_completion.install "completions/{program}.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/{program} --version")
  end
end
"""


def formula(dist, program, version):
    lines = []
    for system, processors in PLATFORMS.items():
        lines += ["", f"  on_{system} do"]
        for processor, platform in processors.items():
            archive = dist / f"{program}-{version}-{platform}.tar.gz"
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            lines.append(f"    on_{processor} do")
            lines.append(f'      url "{REPOSITORY}/releases/download/v{version}/{archive.name}"')
            lines.append(f'      sha256 "{digest}"')
            lines.append("    end")
        lines.append("  end")
    return FORMULA.format(
        name="".join(word.capitalize() for word in program.split("-")),
        description=DESCRIPTIONS[program],
        repository=REPOSITORY,
        version=version,
        program=program,
        platforms="\n".join(lines) + "\n",
    )


def main(dist, tag):
    for program in DESCRIPTIONS:
        text = formula(Path(dist), program, tag.removeprefix("v"))
        (Path(dist) / f"{program}.rb").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
