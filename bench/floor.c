/* The floor of the benchmark "orders": the market's queue and messages, and nothing computed.
 *
 *   floor market URL PREFETCH RECEIPT
 *     consumes the market's queue; each message is answered with the bytes of the file RECEIPT to
 *     the fleet that sent it, and acknowledged once the broker has confirmed the answer.
 *   floor homes URL HOMES WARM_UP_S SPAN_S ORDER FLEET...
 *     declares the fleets' queues, waits for a line on its input, sends the bytes of the file ORDER
 *     HOMES times per fleet, and again for every receipt: each home has one order on its way.
 *     Prints "begin" after the warm-up, and then "end RECEIPTS SECONDS".
 *
 * Exchanges and the market's queue have to be there. What goes out while a read's worth of frames
 * is worked off is held back by TCP_CORK and leaves in few packets, as the market's own frames do.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif

/* As energymarket/topology.py has them. */
static const char ORDERS_QUEUE[] = "market.orders";
static const char OFFERS[] = "energymarket.offers";
static const char RECEIPTS[] = "energymarket.receipts";
static const int MAX_FLEET_QUEUED = 10000;

enum { CHANNEL = 1, MAX_FLEETS = 1000, MAX_UNCONFIRMED = 65536, MAX_KEY = 256 };

struct body {
  char *bytes;
  size_t size;
};

/* One connection with one channel, and the delivery that is being read. */
struct link {
  amqp_connection_state_t connection;
  int socket;
  uint64_t delivery_tag; /* 0: what is being read is a message that came back */
  char key[MAX_KEY];     /* the routing key of the delivery */
  unsigned consumer;     /* its consumer's tag, a number */
  uint64_t bytes_to_come;
  uint64_t published;
};

static void die(const char *what) {
  fprintf(stderr, "floor: %s\n", what);
  exit(1);
}

static void check(int status, const char *what) {
  if (status < 0) {
    fprintf(stderr, "floor: %s: %s\n", what, amqp_error_string2(status));
    exit(1);
  }
}

static void check_answer(struct link *link, const char *what) {
  amqp_rpc_reply_t answer = amqp_get_rpc_reply(link->connection);
  if (answer.reply_type != AMQP_RESPONSE_NORMAL) die(what);
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct body whole_file(const char *path) {
  FILE *file = fopen(path, "rb");
  struct body body = {malloc(65536), 0};
  if (!file || !body.bytes) die("cannot read the body");
  body.size = fread(body.bytes, 1, 65536, file);
  fclose(file);
  return body;
}

static struct link connect_to(char *url) {
  struct amqp_connection_info where;
  check(amqp_parse_url(url, &where), "the broker's address");
  struct link link = {.connection = amqp_new_connection()};
  amqp_socket_t *tcp = amqp_tcp_socket_new(link.connection);
  if (!tcp) die("no memory for a socket");
  check(amqp_socket_open(tcp, where.host, where.port), "connecting");
  amqp_rpc_reply_t answer = amqp_login(link.connection, where.vhost, 0, 131072, 0,
                                       AMQP_SASL_METHOD_PLAIN, where.user, where.password);
  if (answer.reply_type != AMQP_RESPONSE_NORMAL) die("the broker does not let us in");
  amqp_channel_open(link.connection, CHANNEL);
  check_answer(&link, "opening a channel");
  link.socket = amqp_get_sockfd(link.connection);
  return link;
}

static void cork(struct link *link, int on) {
  setsockopt(link->socket, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* One message, with the properties that a message of the market has. */
static void publish(struct link *link, const char *exchange, const char *key,
                    const struct body *body, const char *kind, uint8_t delivery_mode) {
  char id[64];
  link->published++;
  snprintf(id, sizeof id, "0123456789abcdef0123456789abcdef-%llu",
           (unsigned long long)link->published);
  amqp_basic_properties_t properties = {
      ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG |
                AMQP_BASIC_APP_ID_FLAG,
      .content_type = amqp_cstring_bytes("application/json"),
      .delivery_mode = delivery_mode,
      .message_id = amqp_cstring_bytes(id),
      .timestamp = (uint64_t)time(NULL),
      .type = amqp_cstring_bytes(kind),
      .app_id = amqp_cstring_bytes("bench"),
  };
  amqp_bytes_t bytes = {body->size, body->bytes};
  const amqp_boolean_t mandatory = 1, immediate = 0;
  check(amqp_basic_publish(link->connection, CHANNEL, amqp_cstring_bytes(exchange),
                           amqp_cstring_bytes(key), mandatory, immediate, &properties, bytes),
        "publishing");
}

/* The next frame, or false when none came by `until` (0: waits for ever). */
static bool read_frame(struct link *link, amqp_frame_t *frame, double until) {
  struct timeval timeout, *limit = NULL;
  if (until > 0) {
    double left_s = until - now_s();
    if (left_s < 0) left_s = 0;
    timeout.tv_sec = (time_t)left_s;
    timeout.tv_usec = (suseconds_t)((left_s - (double)timeout.tv_sec) * 1e6);
    limit = &timeout;
  }
  int status = amqp_simple_wait_frame_noblock(link->connection, frame, limit);
  if (status == AMQP_STATUS_TIMEOUT) return false;
  check(status, "reading");
  return true;
}

/* The next frame, or false when it is not all there yet: who waited for the rest of it would hold
 * back what the broker waits for. */
static bool read_at_once(struct link *link, amqp_frame_t *frame) {
  if (!amqp_frames_enqueued(link->connection) && !amqp_data_in_buffer(link->connection))
    return false;
  return read_frame(link, frame, now_s());
}

/* Takes in a frame of a delivery; true when the message is whole. */
static bool take_content(struct link *link, const amqp_frame_t *frame) {
  if (frame->frame_type == AMQP_FRAME_METHOD) {
    if (frame->payload.method.id == AMQP_BASIC_DELIVER_METHOD) {
      amqp_basic_deliver_t *deliver = frame->payload.method.decoded;
      size_t length = deliver->routing_key.len;
      if (length >= MAX_KEY) die("too long a routing key");
      memcpy(link->key, deliver->routing_key.bytes, length);
      link->key[length] = 0;
      link->consumer = 0;
      for (size_t i = 0; i < deliver->consumer_tag.len; i++)
        link->consumer =
            10 * link->consumer + (unsigned)(((char *)deliver->consumer_tag.bytes)[i] - '0');
      link->delivery_tag = deliver->delivery_tag;
    } else if (frame->payload.method.id == AMQP_BASIC_RETURN_METHOD) {
      link->delivery_tag = 0;
    } else {
      die("the broker closes the channel");
    }
    return false;
  }
  if (frame->frame_type == AMQP_FRAME_HEADER)
    link->bytes_to_come = frame->payload.properties.body_size;
  else if (frame->frame_type == AMQP_FRAME_BODY)
    link->bytes_to_come -= frame->payload.body_fragment.len;
  else
    return false;
  return link->bytes_to_come == 0;
}

/* ------------------------------------------------------------------------------- the market */

static bool confirmed[MAX_UNCONFIRMED];

/* The tag up to which every answer is confirmed, after one more word of the broker. */
static uint64_t confirmed_up_to(uint64_t so_far, const amqp_basic_ack_t *ack) {
  if (ack->multiple) {
    while (so_far < ack->delivery_tag) confirmed[++so_far % MAX_UNCONFIRMED] = false;
  } else {
    confirmed[ack->delivery_tag % MAX_UNCONFIRMED] = true;
  }
  while (confirmed[(so_far + 1) % MAX_UNCONFIRMED]) {
    so_far++;
    confirmed[so_far % MAX_UNCONFIRMED] = false;
  }
  return so_far;
}

static void be_the_market(char *url, int prefetch, struct body receipt) {
  struct link link = connect_to(url);
  amqp_confirm_select(link.connection, CHANNEL);
  check_answer(&link, "asking for confirms");
  amqp_basic_qos(link.connection, CHANNEL, 0, (uint16_t)prefetch, 0);
  check_answer(&link, "setting the prefetch");
  amqp_basic_consume(link.connection, CHANNEL, amqp_cstring_bytes(ORDERS_QUEUE),
                     amqp_cstring_bytes("0"), 0, 0, 0, amqp_empty_table);
  check_answer(&link, "consuming the market's queue");
  puts("ready");
  fflush(stdout);
  /* Answers are published in the order of the deliveries, so both have the same tags. */
  uint64_t answered = 0, acknowledged = 0;
  for (;;) {
    amqp_frame_t frame;
    read_frame(&link, &frame, 0);
    cork(&link, 1);
    do {
      if (frame.frame_type == AMQP_FRAME_METHOD &&
          frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
        answered = confirmed_up_to(answered, frame.payload.method.decoded);
      } else if (take_content(&link, &frame) && link.delivery_tag) {
        if (link.delivery_tag != link.published + 1) die("a delivery out of order");
        publish(&link, RECEIPTS, link.key + strlen("home."), &receipt, "Receipts",
                AMQP_DELIVERY_NONPERSISTENT);
      }
      amqp_maybe_release_buffers(link.connection);
    } while (read_at_once(&link, &frame));
    if (answered > acknowledged) {
      check(amqp_basic_ack(link.connection, CHANNEL, answered, 1), "acknowledging");
      acknowledged = answered;
    }
    cork(&link, 0);
  }
}

/* -------------------------------------------------------------------------------- the homes */

static amqp_table_entry_t text_argument(const char *name, const char *value) {
  amqp_table_entry_t entry = {amqp_cstring_bytes(name), {.kind = AMQP_FIELD_KIND_UTF8}};
  entry.value.value.bytes = amqp_cstring_bytes(value);
  return entry;
}

/* A fleet's own queue, as `own_queue` in energymarket/topology.py has it. */
static void declare_fleet(struct link *link, unsigned number, const char *fleet) {
  char queue[MAX_KEY], tag[16];
  snprintf(queue, sizeof queue, "fleet.%s", fleet);
  snprintf(tag, sizeof tag, "%u", number);
  amqp_table_entry_t entries[] = {
      text_argument("x-queue-type", "classic"),
      text_argument("x-overflow", "drop-head"),
      {amqp_cstring_bytes("x-max-length"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = MAX_FLEET_QUEUED}},
  };
  amqp_table_t arguments = {sizeof entries / sizeof *entries, entries};
  const amqp_boolean_t exclusive = 1, acknowledged_on_delivery = 1;
  amqp_bytes_t name = amqp_cstring_bytes(queue);
  amqp_queue_declare(link->connection, CHANNEL, name, 0, 0, exclusive, 0, arguments);
  check_answer(link, "declaring a fleet's queue");
  amqp_queue_bind(link->connection, CHANNEL, name, amqp_cstring_bytes(RECEIPTS),
                  amqp_cstring_bytes(fleet), amqp_empty_table);
  check_answer(link, "binding a fleet's queue");
  amqp_basic_consume(link->connection, CHANNEL, name, amqp_cstring_bytes(tag), 0,
                     acknowledged_on_delivery, exclusive, amqp_empty_table);
  check_answer(link, "consuming a fleet's queue");
}

static void order(struct link *link, const char *fleet, const struct body *body) {
  char key[MAX_KEY];
  snprintf(key, sizeof key, "home.%s", fleet);
  publish(link, OFFERS, key, body, "Offers", AMQP_DELIVERY_PERSISTENT);
}

/* Answers receipts with orders until the moment `until`; returns the number of receipts. */
static uint64_t trade(struct link *link, char **fleets, const struct body *body, double until) {
  uint64_t receipts = 0;
  amqp_frame_t frame;
  while (now_s() < until && read_frame(link, &frame, until)) {
    cork(link, 1);
    do {
      if (take_content(link, &frame) && link->delivery_tag) {
        receipts++;
        order(link, fleets[link->consumer], body);
      }
      amqp_maybe_release_buffers(link->connection);
    } while (read_at_once(link, &frame));
    cork(link, 0);
  }
  return receipts;
}

static void be_homes(char *url, int homes, double warm_up_s, double span_s, struct body body,
                     unsigned count, char **fleets) {
  struct link link = connect_to(url);
  for (unsigned number = 0; number < count; number++) declare_fleet(&link, number, fleets[number]);
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF) return;
  double begin = now_s() + warm_up_s;
  cork(&link, 1);
  for (unsigned number = 0; number < count; number++)
    for (int home = 0; home < homes; home++) order(&link, fleets[number], &body);
  cork(&link, 0);
  trade(&link, fleets, &body, begin);
  puts("begin");
  fflush(stdout);
  begin = now_s();
  uint64_t receipts = trade(&link, fleets, &body, begin + span_s);
  printf("end %llu %.6f\n", (unsigned long long)receipts, now_s() - begin);
  fflush(stdout);
  getchar(); /* until the others have ended too: their receipts must not lack a market */
}

int main(int count, char **words) {
  if (count == 5 && !strcmp(words[1], "market"))
    be_the_market(words[2], atoi(words[3]), whole_file(words[4]));
  else if (count > 7 && count <= 7 + MAX_FLEETS && !strcmp(words[1], "homes"))
    be_homes(words[2], atoi(words[3]), atof(words[4]), atof(words[5]), whole_file(words[6]),
             (unsigned)(count - 7), words + 7);
  else
    die("see the head of floor.c");
  return 0;
}
