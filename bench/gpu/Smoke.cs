using System.Runtime.InteropServices;
using Eigengate.Inference;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Gpu;

/// <summary>Whether this program and a libtorch of another version understand each other, in operations that the engine uses.</summary>
internal static class Smoke
{
    private const int Rounds = 2000;
    private static readonly string[] Wrappers = ["libLibTorchSharp.so", "runtimes/linux-x64/native/libLibTorchSharp.so"];

    public static bool Run(string deviceName)
    {
        bool good = ReportMissingFunctions();
        torch.InitializeDeviceType(deviceName == "cuda" ? DeviceType.CUDA : DeviceType.CPU);
        Device device = deviceName == "cuda" ? CUDA : CPU;
        good &= Outcome.Print(deviceName == "cpu" || torch.cuda.is_available(), $"libtorch of '{LibTorch.Directory ?? "the program"}' has the device '{deviceName}'");
        good &= CreateAndFree(device);
        foreach (ScalarType dtype in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
            good &= Compare(device, dtype);
        return good;
    }

    /// <summary>Functions are bound at their first call, and a missing one ends the process: the engine's own are called below.</summary>
    private static bool ReportMissingFunctions()
    {
        if (LibTorch.Directory is not { } folder)
            return Outcome.Print(true, "the program's own libtorch: versions fit");
        string[] names = ["libtorch_cpu.so", "libc10.so", "libtorch.so"];
        nint[] libraries = [.. names.Select(name => NativeLibrary.Load(Path.Combine(folder, name)))];
        string wrapper = Wrappers
            .Select(name => Path.Combine(AppContext.BaseDirectory, name)).First(File.Exists);
        string[] missing = [.. ElfImports.Read(wrapper)
            .Where(name => name.Contains("3c10", StringComparison.Ordinal) || name.Contains("2at", StringComparison.Ordinal) || name.Contains("5torch", StringComparison.Ordinal))
            .Where(name => !libraries.Any(library => NativeLibrary.TryGetExport(library, name, out _)))];
        foreach (string name in missing)
            Console.WriteLine($"      missing in this libtorch: {name}");
        return Outcome.Print(true, $"{missing.Length} of TorchSharp's imports are missing in this libtorch");
    }

    private static bool CreateAndFree(Device device)
    {
        for (int i = 0; i < Rounds; i++)
        {
            using var scope = torch.NewDisposeScope();
            Tensor x = torch.empty([1 + (i % 7), 64], dtype: ScalarType.Float32, device: device);
            x.zero_();
            using Tensor band = x.narrow(1, 8, 16), copy = band.cpu();
            if (copy.sum().item<float>() != 0)
                return Outcome.Print(false, $"a zeroed tensor is not zero in round {i}");
        }

        return Outcome.Print(true, $"{Rounds} tensors created, viewed, copied and freed");
    }

    private static bool Compare(Device device, ScalarType dtype)
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(1);
        Tensor x = torch.randn([33, 128]).to(dtype), w = torch.randn([65, 128]).to(dtype), y = torch.randn([33, 65]).to(dtype);
        Tensor expected = y.to(ScalarType.Float32).add(x.to(ScalarType.Float32).matmul(w.to(ScalarType.Float32).t()));
        Tensor actual = y.to(device).addmm_(x.to(device), w.to(device).t()).cpu().to(ScalarType.Float32);
        double difference = expected.sub(actual).abs().max().item<float>() / expected.abs().max().item<float>();
        return Outcome.Print(difference < (dtype == ScalarType.Float32 ? 1e-4 : 2e-2), $"a {dtype} product on the device equals the CPU's within {difference:E1} of its largest number");
    }
}
