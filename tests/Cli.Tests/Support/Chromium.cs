using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Eigengate.Cli.Tests.Support;

/// <summary>One page of the machine's own headless Chromium, over the DevTools protocol.</summary>
internal sealed class Chromium : IAsyncDisposable
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome"];

    private readonly Process _process;
    private readonly DirectoryInfo _profile;
    private readonly ClientWebSocket _socket = new();
    private int _lastId;

    private Chromium(Process process, DirectoryInfo profile)
    {
        _process = process;
        _profile = profile;
    }

    /// <summary>Addresses that the page asked for.</summary>
    public List<string> Requests { get; } = [];

    /// <summary>Console errors and warnings, uncaught exceptions, violations of the content policy.</summary>
    public List<string> Complaints { get; } = [];

    public static string? Executable => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .SelectMany(_ => Names, Path.Combine).FirstOrDefault(File.Exists);

    public static async Task<Chromium> StartAsync(CancellationToken cancel)
    {
        DirectoryInfo profile = Directory.CreateTempSubdirectory("eigengate-chromium-");
        var info = new ProcessStartInfo(
            Executable!,
            ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0", $"--user-data-dir={profile.FullName}", "about:blank"])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        Process process = Process.Start(info)!;
        process.ErrorDataReceived += (_, _) => { };
        process.OutputDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        var browser = new Chromium(process, profile);
        await browser.ConnectAsync(cancel);
        return browser;
    }

    public async Task OpenAsync(string file, CancellationToken cancel)
    {
        foreach (string domain in (string[])["Page", "Runtime", "Log", "Network"])
            await SendAsync($"{domain}.enable", [], cancel);
        await SendAsync("Page.navigate", new JsonObject { ["url"] = new Uri(file).AbsoluteUri }, cancel);
        while (await EvaluateAsync<string>("document.readyState + location.protocol", cancel) != "completefile:")
            await Task.Delay(20, cancel);
    }

    public async Task EmulateAsync(int width, string scheme, CancellationToken cancel)
    {
        await SendAsync("Emulation.setDeviceMetricsOverride", new JsonObject { ["width"] = width, ["height"] = 900, ["deviceScaleFactor"] = 1, ["mobile"] = false }, cancel);
        await SendAsync("Emulation.setEmulatedMedia", new JsonObject { ["features"] = new JsonArray(new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = scheme }) }, cancel);
    }

    public async Task<T> EvaluateAsync<T>(string script, CancellationToken cancel)
    {
        JsonNode answer = await SendAsync("Runtime.evaluate", new JsonObject { ["expression"] = script, ["returnByValue"] = true }, cancel);
        Assert.True(answer["exceptionDetails"] is null, answer.ToJsonString());
        return answer["result"]!["value"].Deserialize<T>()!;
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        for (int attempt = 0; attempt < 50 && _profile.Exists; attempt++)
        {
            try
            {
                _profile.Delete(recursive: true);
                _profile.Refresh();
            }
            catch (IOException)
            {
                // Its helper processes end a moment later and may still write.
                await Task.Delay(50);
            }
        }
    }

    private async Task ConnectAsync(CancellationToken cancel)
    {
        string portFile = Path.Combine(_profile.FullName, "DevToolsActivePort");
        while (!File.Exists(portFile) || File.ReadAllLines(portFile).Length < 2)
            await Task.Delay(20, cancel);
        using var http = new HttpClient();
        JsonNode? page = null;
        while (page is null)
        {
            JsonNode targets = JsonNode.Parse(await http.GetStringAsync($"http://127.0.0.1:{File.ReadAllLines(portFile)[0]}/json", cancel))!;
            page = targets.AsArray().FirstOrDefault(t => (string?)t!["type"] == "page");
        }

        await _socket.ConnectAsync(new Uri((string)page["webSocketDebuggerUrl"]!), cancel);
    }

    private async Task<JsonNode> SendAsync(string method, JsonObject parameters, CancellationToken cancel)
    {
        int id = ++_lastId;
        byte[] command = JsonSerializer.SerializeToUtf8Bytes(new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters });
        await _socket.SendAsync(command, WebSocketMessageType.Text, endOfMessage: true, cancel);
        while (true)
        {
            JsonNode message = await ReceiveAsync(cancel);
            if ((int?)message["id"] == id)
                return message["result"] ?? throw new InvalidOperationException(message.ToJsonString());
            Record(message);
        }
    }

    private async Task<JsonNode> ReceiveAsync(CancellationToken cancel)
    {
        using var message = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        WebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(buffer, cancel);
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonNode.Parse(message.ToArray())!;
    }

    private void Record(JsonNode message)
    {
        JsonNode? parameters = message["params"];
        switch ((string?)message["method"])
        {
            case "Network.requestWillBeSent":
                Requests.Add((string)parameters!["request"]!["url"]!);
                break;
            case "Runtime.exceptionThrown" or "Log.entryAdded":
            case "Runtime.consoleAPICalled" when (string?)parameters!["type"] is "error" or "warning":
                Complaints.Add(parameters!.ToJsonString());
                break;
        }
    }
}
