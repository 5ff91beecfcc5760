#!/usr/bin/env escript
%% Erlang/OTP's ssl in both roles.  A line of stdin for each cell, words with blanks between:
%%   client PORT VERSION ALPN CA CERT KEY REQUEST(base64) full|resumed
%%   server PORT VERSION ALPN CA CERT KEY -              any|retry
%% "-" is none.  A line of stdout for each; servers serve until stdin ends.
-mode(compile).

main(_) ->
    logger:remove_handler(default),
    logger:add_handler(default, logger_std_h, #{config => #{type => standard_error}, level => error}),
    {ok, _} = application:ensure_all_started(ssl),
    loop().

loop() ->
    case io:get_line("") of
        eof -> ok;
        Line -> one(string:lexemes(string:trim(Line), " ")), loop()
    end.

one(["client", Port | Rest]) ->
    [Version, Alpn, Ca, Cert, Key, Request, Turn] = Rest,
    Options = options(Version, Ca, Cert, Key) ++
        [{server_name_indication, "localhost"}, {verify, verify_peer}, {alpn_advertised_protocols, [list_to_binary(Alpn)]},
         {customize_hostname_check, [{match_fun, public_key:pkix_verify_hostname_match_fun(https)}]}] ++ tickets(Version, Turn),
    Data = base64:decode(Request),
    Again = case Turn of
        "resumed" ->
            {_, Session} = ask(list_to_integer(Port), Options, Data),
            timer:sleep(50),
            case Version of "1.2" -> [{reuse_session, Session} | proplists:delete(reuse_sessions, Options)]; _ -> Options end;
        _ -> Options
    end,
    {Words, _} = ask(list_to_integer(Port), Again, Data),
    io:format("~s~n", [Words]);
one(["server", Port | Rest]) ->
    [Version, Alpn, Ca, Cert, Key, "-", Kind] = Rest,
    Options = options(Version, Ca, Cert, Key) ++
        [{ip, {127, 0, 0, 1}}, {reuseaddr, true}, {alpn_preferred_protocols, [list_to_binary(Alpn)]}] ++
        case Ca of "-" -> []; _ -> [{verify, verify_peer}, {fail_if_no_peer_cert, true}] end ++
        case Version of "1.3" -> [{session_tickets, stateless}]; _ -> [] end ++
        case Kind of "retry" -> [{supported_groups, [secp384r1]}]; _ -> [] end,
    {ok, Listener} = ssl:listen(list_to_integer(Port), Options),
    spawn(fun() -> accept(Listener) end),
    io:format("~s~n", [Port]).

options(Version, Ca, Cert, Key) ->
    [{versions, [case Version of "1.2" -> 'tlsv1.2'; "1.3" -> 'tlsv1.3' end]}, {active, false}, {mode, binary}] ++
        case Ca of "-" -> []; _ -> [{cacertfile, Ca}] end ++
        case Cert of "-" -> []; _ -> [{certfile, Cert}, {keyfile, Key}] end.

tickets("1.3", "resumed") -> [{session_tickets, auto}];
tickets("1.2", "resumed") -> [{reuse_sessions, save}];
tickets("1.2", _) -> [{reuse_sessions, false}];
tickets(_, _) -> [].

ask(Port, Options, Data) ->
    case ssl:connect("localhost", Port, Options, 20000) of
        {ok, Socket} ->
            Words = words(Socket),
            {ok, [{session_id, Session}]} = ssl:connection_information(Socket, [session_id]),
            ok = ssl:send(Socket, Data),
            Answer = read(Socket, <<>>),
            ssl:close(Socket),
            case Answer of
                {ok, Octets} -> {Words ++ " " ++ binary_to_list(base64:encode(Octets)), Session};
                {error, Reason} -> {"error " ++ flat(Reason), Session}
            end;
        {error, Reason} -> {"error " ++ flat(Reason), <<>>}
    end.

%% An orderly end is {error, closed}; so is one without close_notify.
read(Socket, Found) ->
    case ssl:recv(Socket, 0, 20000) of
        {ok, Octets} -> read(Socket, <<Found/binary, Octets/binary>>);
        {error, closed} -> {ok, Found};
        {error, Reason} -> {error, Reason}
    end.

words(Socket) ->
    {ok, Said} = ssl:connection_information(Socket, [protocol, selected_cipher_suite, session_resumption]),
    Alpn = case ssl:negotiated_protocol(Socket) of {ok, Name} -> binary_to_list(Name); _ -> "-" end,
    Peer = case ssl:peercert(Socket) of {ok, _} -> "certificate"; _ -> "-" end,
    Suite = ssl:suite_to_str(proplists:get_value(selected_cipher_suite, Said)),
    lists:join(" ", [atom_to_list(proplists:get_value(protocol, Said)), Suite,
                     atom_to_list(proplists:get_value(session_resumption, Said)), Alpn, Peer]).

accept(Listener) ->
    {ok, Transport} = ssl:transport_accept(Listener),
    spawn(fun() -> receive go -> answer(Transport) end end) ! go,
    accept(Listener).

answer(Transport) ->
    case ssl:handshake(Transport, 20000) of
        {ok, Socket} ->
            case ssl:recv(Socket, 0, 20000) of
                {ok, _} ->
                    Body = lists:flatten(words(Socket)),
                    ssl:send(Socket, ["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ",
                                      integer_to_list(length(Body)), "\r\n\r\n", Body]);
                {error, Reason} -> io:format(standard_error, "~s~n", [flat(Reason)])
            end,
            ssl:close(Socket);
        {error, Reason} -> io:format(standard_error, "~s~n", [flat(Reason)])
    end.

flat(Reason) -> [C || C <- lists:flatten(io_lib:format("~0p", [Reason])), C =/= $\n].
