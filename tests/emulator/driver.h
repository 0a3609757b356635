// What the three emulated libraries share: what a test asks of them, by environment variables that
// tests/support/emulator.py sets, and the files by which processes share cards.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#define API extern "C" __attribute__((visibility("default")))

namespace emulator {

inline const char* text(const char* name) { return getenv(name); }

inline int number(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value && *value ? static_cast<int>(strtol(value, nullptr, 0)) : otherwise;
}

inline int cards() { return number("EMULATOR_CARDS", 1); }

// A file of the folder that all processes of one emulated machine share.
inline std::string shared(const std::string& name) {
  const char* folder = text("EMULATOR_STATE");
  return std::string(folder ? folder : "/nonexistent") + "/" + name;
}

// A card's name: EMULATOR_NAME, or of several with ; between them its own.
inline std::string card_name(int card) {
  const std::string names = text("EMULATOR_NAME") ? text("EMULATOR_NAME") : "Emulated GPU";
  size_t start = 0;
  for (size_t end; card > 0 && (end = names.find(';', start)) != std::string::npos; card--) start = end + 1;
  return names.substr(start, names.find(';', start) - start);
}

// The file whose lock is held by each session that is open on a card; kMostSessions places for each card.
constexpr int kMostSessions = 64;
inline std::string session_file(int card, int place) {
  return shared("session." + std::to_string(card) + "." + std::to_string(place));
}

// Add a line to the log of calls, whole even where several processes write.
inline void note(const std::string& line) {
  const int log = open(shared("calls.log").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (log < 0) return;
  const std::string whole = line + "\n";
  if (write(log, whole.data(), whole.size()) < 0) perror("emulator: calls.log");
  close(log);
}

inline bool lost(int card) {
  return card >= 0 && access(shared("lost." + std::to_string(card)).c_str(), F_OK) == 0;
}

inline void lose(int card) {
  const int file = open(shared("lost." + std::to_string(card)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file >= 0) close(file);
}

// What EMULATOR_FAULTS says of a call on a card: 0, or the status to return. It holds CALL[@CARD]=STATUS[:AFTER] with
// commas between them; the call fails after AFTER successes in this process. The status `hang` never returns.
inline int fault(const char* call, int card = -1) {
  static std::mutex lock;
  static std::map<std::string, int> counts;
  const char* faults = text("EMULATOR_FAULTS");
  for (const char* at = faults; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : nullptr) {
    const std::string one(at, strcspn(at, ","));
    const size_t equals = one.find('='), colon = one.find(':'), place = one.find('@');
    if (equals == std::string::npos) continue;
    const bool anywhere = place == std::string::npos || place > equals;
    if (one.substr(0, anywhere ? equals : place) != call) continue;
    if (!anywhere && atoi(one.c_str() + place + 1) != card) continue;
    int seen;
    {
      const std::lock_guard<std::mutex> guard(lock);
      seen = counts[one]++;
    }
    if (colon != std::string::npos && seen < atoi(one.c_str() + colon + 1)) return 0;
    if (one.compare(equals + 1, 4, "hang") == 0) {
      note(std::string("hang ") + call);
      for (;;) pause();
    }
    return static_cast<int>(strtol(one.c_str() + equals + 1, nullptr, 0));
  }
  return 0;
}

}  // namespace emulator
