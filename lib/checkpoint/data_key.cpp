#include "checkpoint/data_key.h"

#include <algorithm>
#include <cstring>

#include "checkpoint/binding.h"
#include "checkpoint/encrypted_names.h"
#include "checkpoint/key_blob.h"
#include "checkpoint/stream_cipher.h"

namespace tutti::checkpoint {
namespace {

constexpr std::size_t max_uuid_bytes = 64;

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string DataKey::associated_data(std::string_view name) const {
  return checkpoint::associated_data(uuid, steps, name);
}

DataKeyPointer make_data_key(const Directory& directory, const std::string& uuid, std::int64_t steps,
                             const Encryption& encryption) {
  auto sealed = seal(uuid, encryption.recipients);
  directory.write(std::string(key_blob_name), sealed.text);
  return std::make_shared<DataKey>(DataKey{std::move(sealed.data_key), uuid, steps});
}

DataKeyPointer unlock(const Directory& directory, std::int64_t steps, const Encryption* encryption) {
  const auto names = directory.names();
  if (!encryption) {
    require_plaintext(names, directory.path());
    return nullptr;
  }
  require_encrypted(names, directory.path());
  const std::string name(key_blob_name);
  auto opened = open(directory.read(name, max_key_blob_bytes), encryption->recipients, directory.path(name));
  return std::make_shared<DataKey>(DataKey{std::move(opened.data_key), std::move(opened.uuid), steps});
}

DataKeyPointer share(DataKeyPointer of_first, Communicator& world) {
  auto copy = std::make_shared<DataKey>();
  char uuid[max_uuid_bytes] = {};
  if (world.rank() == 0) {
    std::ranges::copy(of_first->key.bytes(), copy->key.bytes().begin());
    std::ranges::copy(of_first->uuid, uuid);
    copy->steps = of_first->steps;
  }
  world.broadcast(BufferView(copy->key.bytes().data(), Key::size, DType::u8));
  world.broadcast(BufferView(uuid, sizeof uuid, DType::u8));
  world.broadcast(BufferView(&copy->steps, 1, DType::i64));
  copy->uuid.assign(uuid, ::strnlen(uuid, sizeof uuid));
  return copy;
}

std::string name_on_disk(const std::string& name, const DataKey* key) {
  return key ? encrypted_name(name) : name;
}

void write_text(const Directory& directory, const std::string& name, std::string_view text,
                const DataKey* key) {
  if (!key) return directory.write(name, text);
  const auto sealed = encrypt(key->key, key->associated_data(name), bytes_of(text));
  directory.write(encrypted_name(name), text_of(sealed));
}

std::string read_text(const Directory& directory, const std::string& name, std::size_t most,
                      const DataKey* key) {
  if (!key) return directory.read(name, most);
  const auto on_disk = encrypted_name(name);
  const auto sealed = directory.read(on_disk, most);
  const auto plain = decrypt(key->key, key->associated_data(name), bytes_of(sealed), directory.path(on_disk));
  return std::string(text_of(plain));
}

}  // namespace tutti::checkpoint
